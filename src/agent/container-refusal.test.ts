import { describe, expect, it } from 'vitest';
import type { Decision } from '../enrollment/reasons.ts';
import { ControllerError } from '../errors.ts';
import type { Pod } from '../pod/pod.ts';
import { containerRefusal } from './container-refusal.ts';
import { meshPod } from './fake-agent.ts';
import type { HookResult } from './reconcile.ts';

const OPTIONS = { excludedNamespaces: [], enroll: 'annotated', sidecarName: 'istio-proxy' } as const;
const GATE = 'istio-pod-network-controller-gate';
const invalid: Decision = {
  action: 'refuse',
  reason: 'InvalidCapturePolicy',
  message: 'port=x: allowed is 1',
  warn: true,
};
const enrolled: Decision = { action: 'enroll', reason: 'Enrolled', message: 'asks', warn: false };
const error = new ControllerError('NetnsMissing', 'there is no\nsuch file');

const gateless = meshPod();
const withGate = meshPod();
const gated: Pod = { ...withGate, initContainers: [{ ...(withGate.containers[0] ?? fail()), name: GATE }] };
const withoutProxy: Pod = { ...gateless, containers: gateless.containers.filter(({ name }) => name === 'app') };

function fail(): never {
  throw new Error('the pod has no container');
}

function refusal(pod: Pod, result: HookResult, container = 'app'): string | undefined {
  return containerRefusal(container, { kind: 'judged', pod, result }, OPTIONS);
}

describe('a container of a pod', () => {
  it('that is captured, or not ours, is created', () => {
    for (const kind of ['captured', 'ignored'] as const) expect(refusal(gateless, { kind })).toBeUndefined();
  });

  it('that has no gate and cannot be captured is refused, in one line with code and reason', () => {
    expect(refusal(gateless, { kind: 'failed', decision: enrolled, error })).toBe(
      'istio-pod-network-controller: traffic capture is not in place: NetnsMissing: there is no such file',
    );
    expect(refusal(gateless, { kind: 'refused', decision: invalid })).toContain(
      'InvalidCapturePolicy: port=x: allowed is 1',
    );
    expect(refusal(gateless, { kind: 'failed', decision: invalid, error })).toContain('InvalidCapturePolicy');
  });

  it('that has a gate is created: the gate waits and says why', () => {
    for (const name of [GATE, 'app', 'istio-proxy']) {
      expect(refusal(gated, { kind: 'failed', decision: enrolled, error }, name)).toBeUndefined();
      expect(refusal(gated, { kind: 'refused', decision: invalid }, name)).toBeUndefined();
    }
  });

  it('whose choice is unclear is created where no rules could be missed', () => {
    const unclear: Decision = { ...invalid, reason: 'InvalidSelection' };
    expect(refusal(withoutProxy, { kind: 'refused', decision: unclear })).toBeUndefined();
    expect(refusal(gateless, { kind: 'refused', decision: unclear })).toContain('InvalidSelection');
  });

  it('whose mode is NONE is created though the mark could not be written', () => {
    const none: Decision = { ...enrolled, reason: 'CaptureNone' };
    expect(refusal(gateless, { kind: 'failed', decision: none, error })).toBeUndefined();
  });

  it('that the API server has not told of is refused, but for what bears the name of a gate', () => {
    expect(containerRefusal('app', { kind: 'unseen' }, OPTIONS)).toContain('PodUnseen');
    expect(containerRefusal(GATE, { kind: 'unseen' }, OPTIONS)).toBeUndefined();
  });

  it('gets a text of bounded length', () => {
    const long = new ControllerError('NftRejected', 'x'.repeat(5_000));
    expect(refusal(gateless, { kind: 'failed', decision: enrolled, error: long })?.length).toBe(700);
  });
});
