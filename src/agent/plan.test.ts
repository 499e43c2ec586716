import { describe, expect, it } from 'vitest';
import type { CapturePolicy } from '../capture/policy.ts';
import type { Decision } from '../enrollment/reasons.ts';
import type { SandboxDetails } from '../sandbox/sandbox.ts';
import type { Desired } from './desired.ts';
import { needsSandbox, type PodRecord, plan } from './plan.ts';
import { NO_ROUTING } from '../ruleset/ruleset.ts';

const enrolled: Decision = { action: 'enroll', reason: 'Enrolled', message: 'asked for', warn: false };
const refused: Decision = { action: 'refuse', reason: 'InvalidCapturePolicy', message: 'port 0', warn: true };
const ruleset = { table: 't', policyHash: '0123456789abcdef', sets: [], chains: [], routing: NO_ROUTING };
// The plan reads only the ruleset's hash; a whole policy would be noise here.
const capture: Desired = { kind: 'capture', decision: enrolled, ruleset, probes: [], policy: {} as CapturePolicy };
const refuse: Desired = { kind: 'refuse', decision: refused };

function sandbox(id: string): SandboxDetails {
  return {
    id,
    podUid: 'uid',
    podName: 'a',
    podNamespace: 'default',
    attempt: 0,
    ready: true,
    createdAtNs: 0n,
    netnsPath: '/var/run/netns/x',
    hostNetwork: false,
    ips: [],
    pid: undefined,
    nameservers: undefined,
  };
}

function record(changes: Partial<PodRecord> = {}): PodRecord {
  return { uid: 'uid', firstSeenMs: 0, settled: undefined, told: undefined, ...changes };
}

function actions(desired: Desired, observed: Parameters<typeof plan>[1]): string[] {
  return plan(desired, observed).map((step) => step.action);
}

describe('plan', () => {
  it('asks nothing of the runtime for a pod that is not ours, and does nothing', () => {
    const ignore: Desired = {
      kind: 'ignore',
      decision: { action: 'ignore', reason: 'NotSelected', message: '', warn: false },
    };
    expect(needsSandbox(ignore)).toBe(false);
    expect(plan(ignore, { sandbox: undefined, record: record() })).toEqual([]);
  });

  it('tells once about a pod that is ignored with a warning', () => {
    const ignore: Desired = {
      kind: 'ignore',
      decision: { action: 'ignore', reason: 'NoSidecar', message: '', warn: true },
    };
    const [step] = plan(ignore, { sandbox: undefined, record: record() });
    expect(step?.action).toBe('tell');
    const told = step?.action === 'tell' ? step.key : '';
    expect(plan(ignore, { sandbox: undefined, record: record({ told }) })).toEqual([]);
  });

  it('waits for the sandbox, then captures, then tells', () => {
    expect(actions(capture, { sandbox: undefined, record: record() })).toEqual(['awaitSandbox']);
    expect(actions(capture, { sandbox: sandbox('s1'), record: record() })).toEqual(['capture', 'tell']);
  });

  it('has nothing to do once settled and told', () => {
    const settled = { sandboxId: 's1', outcome: ruleset.policyHash, capture: undefined };
    const told = `Enrolled s1 ${ruleset.policyHash}`;
    expect(actions(capture, { sandbox: sandbox('s1'), record: record({ settled, told }) })).toEqual([]);
  });

  it('captures again in a new sandbox, although the record says done', () => {
    const settled = { sandboxId: 's1', outcome: ruleset.policyHash, capture: undefined };
    expect(actions(capture, { sandbox: sandbox('s2'), record: record({ settled, told: 'x' }) })).toEqual([
      'capture',
      'tell',
    ]);
  });

  it('captures again when the policy changed', () => {
    const settled = { sandboxId: 's1', outcome: 'fedcba9876543210', capture: undefined };
    expect(actions(capture, { sandbox: sandbox('s1'), record: record({ settled }) })).toEqual(['capture', 'tell']);
  });

  it('only tells when telling is what failed last time', () => {
    const settled = { sandboxId: 's1', outcome: ruleset.policyHash, capture: undefined };
    expect(actions(capture, { sandbox: sandbox('s1'), record: record({ settled }) })).toEqual(['tell']);
  });

  it('refuses in the netns and tells, once per text and sandbox', () => {
    expect(actions(refuse, { sandbox: sandbox('s1'), record: record() })).toEqual(['refuse', 'tell']);
    const settled = { sandboxId: 's1', outcome: 'InvalidCapturePolicy: port 0', capture: undefined };
    const told = 'InvalidCapturePolicy s1 InvalidCapturePolicy: port 0';
    expect(actions(refuse, { sandbox: sandbox('s1'), record: record({ settled, told }) })).toEqual([]);
    expect(actions(refuse, { sandbox: sandbox('s2'), record: record({ settled, told }) })).toEqual(['refuse', 'tell']);
  });
});
