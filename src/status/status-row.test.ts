import { describe, expect, it } from 'vitest';
import { decide } from '../enrollment/decide.ts';
import type { AgentPod, Agents } from './agents.ts';
import { parseStatusPod } from './status-pod.ts';
import { isShown, statusRow } from './status-row.ts';

const NOW_MS = Date.parse('2026-01-01T00:10:00Z');
const GATE = 'istio-pod-network-controller-gate';
const STATUS = 'pod-network-controller.istio.io/status';
const MESSAGE = 'pod-network-controller.istio.io/message';
const CAPTURE = 'pod-network-controller.istio.io/capture';
const REPORT = JSON.stringify({
  policy: '0123456789abcdef',
  sandbox: 's1',
  backend: 'nft',
  at: '2026-01-01T00:05:00Z',
  ms: 0.9,
});
const READY: AgentPod = { node: 'n1', ready: true, trouble: '', args: ['run'], env: {} };

interface Case {
  readonly annotations?: Record<string, string>;
  readonly node?: string;
  /** `state` of the gate's container; null: the pod has no gate. */
  readonly gate?: object | null;
  readonly phase?: string;
  readonly conditions?: readonly object[];
  readonly containers?: readonly object[];
  readonly agents?: Agents;
  /** The Namespace asks, not the pod. */
  readonly byNamespace?: true;
}

const PLUGINS = 'required-plugins.noderesource.dev';
const HELD = { [PLUGINS]: '["istio-pod-network-controller"]' };
const asks = { 'istio-pod-network-controller/initialize': 'true' };

function rowOf(one: Case) {
  const pod = parseStatusPod({
    metadata: {
      name: 'a',
      namespace: 'shop',
      creationTimestamp: '2026-01-01T00:00:00Z',
      annotations: { ...(one.byNamespace === true ? {} : asks), ...one.annotations },
    },
    spec: {
      nodeName: one.node ?? 'n1',
      initContainers: one.gate === null ? [] : [{ name: GATE, args: ['init'] }],
      containers: one.containers ?? [{ name: 'istio-proxy', args: ['proxy', 'sidecar'] }],
    },
    status: {
      phase: one.phase ?? 'Pending',
      conditions: one.conditions ?? [],
      initContainerStatuses: one.gate === undefined || one.gate === null ? [] : [{ name: GATE, state: one.gate }],
    },
  });
  const options = { excludedNamespaces: [], enroll: 'annotated', sidecarName: 'istio-proxy' } as const;
  const judged = {
    decision: decide(pod.pod, { name: 'shop', labels: {}, annotations: one.byNamespace === true ? asks : {} }, options),
    policy: undefined,
  };
  const agents = one.agents ?? new Map([['n1', READY]]);
  return { ...statusRow(pod, judged, { agents, nowMs: NOW_MS }), shown: isShown(pod, judged) };
}

const waits = { running: { startedAt: '2026-01-01T00:08:00Z' } };
const passed = { terminated: { exitCode: 0, startedAt: '2026-01-01T00:04:00Z' } };
const captured = { [STATUS]: 'initialized', [CAPTURE]: REPORT };

describe('a mesh pod is', () => {
  it.each([
    ['initialized', 'Enrolled', 'the agent says so', { annotations: captured, gate: passed }],
    [
      'initialized',
      'Enrolled',
      'the gate is about to end',
      { annotations: captured, gate: { running: { startedAt: '2026-01-01T00:09:58Z' } } },
    ],
    ['initialized', 'NotReported', 'its gate opened', { gate: passed }],
    [
      'failed',
      'CaptureFailed',
      'the agent says so',
      { annotations: { [STATUS]: 'failed', [MESSAGE]: 'ProofFailed: x' }, gate: waits },
    ],
    [
      'failed',
      'InvalidSelection',
      'it asks for nobody knows what',
      { annotations: { 'istio-pod-network-controller/initialize': 'yes' } },
    ],
    ['waiting', 'GateWaits', 'the gate runs', { gate: waits }],
    ['waiting', 'StaleReport', 'the gate runs long after a report', { annotations: captured, gate: waits }],
    ['waiting', 'AgentMissing', 'no agent is on its node', { gate: waits, agents: new Map() }],
    [
      'waiting',
      'AgentMissing',
      'its node has none, whatever the report',
      { annotations: captured, gate: waits, agents: new Map() },
    ],
    [
      'waiting',
      'AgentNotReady',
      'the agent is not ready',
      { gate: waits, agents: new Map([['n1', { ...READY, ready: false, trouble: 'CrashLoopBackOff' }]]) },
    ],
    ['waiting', 'GateWaits', 'agents may not be read', { gate: waits, agents: 'unknown' }],
    ['waiting', 'GateEnded', 'the gate timed out', { gate: { terminated: { exitCode: 124 } } }],
    ['waiting', 'GateEnded', 'kubelet pauses', { gate: { waiting: { reason: 'CrashLoopBackOff' } } }],
    ['waiting', 'NoGate', 'it has no gate', { gate: null, phase: 'Running' }],
    [
      'waiting',
      'NoGate',
      'it has no gate, and needs another plugin',
      { gate: null, annotations: { [PLUGINS]: '["a"]' } },
    ],
    ['waiting', 'HeldByRuntime', 'the runtime holds it back', { gate: null, annotations: HELD }],
    ['waiting', 'AgentMissing', 'it is held for no agent', { gate: null, annotations: HELD, agents: new Map() }],
    ['waiting', 'NoGate', 'it was held, and runs unreported', { gate: null, annotations: HELD, phase: 'Running' }],
    ['initialized', 'Enrolled', 'it was held', { gate: null, annotations: { ...HELD, ...captured }, phase: 'Running' }],
    [
      'starting',
      'NotScheduled',
      'it has no node',
      { node: '', conditions: [{ type: 'PodScheduled', status: 'False', message: '0/1 nodes' }] },
    ],
    ['starting', 'NotStarted', 'kubelet has said nothing', {}],
    ['starting', 'NotStarted', 'its image comes', { gate: { waiting: { reason: 'PodInitializing' } } }],
    [
      'ignored',
      'NoSidecar',
      'its Namespace asks and it has no proxy',
      { byNamespace: true, containers: [{ name: 'app' }] },
    ],
    ['ignored', 'NoSidecar', 'it has no proxy', { containers: [{ name: 'app' }] }],
  ] as const)('%s %s: %s', (state, reason, _, one) => {
    expect(rowOf(one)).toMatchObject({ state, reason, shown: true });
  });

  it('told about with what the agent, the gate or the scheduler says', () => {
    expect(rowOf({ annotations: { [STATUS]: 'failed', [MESSAGE]: 'ProofFailed: x' } }).message).toBe('ProofFailed: x');
    expect(rowOf({ gate: { terminated: { exitCode: 124 } } }).message).toContain('exit code 124');
    expect(
      rowOf({ node: '', conditions: [{ type: 'PodScheduled', status: 'False', message: '0/1 nodes' }] }).message,
    ).toBe('0/1 nodes');
    expect(
      rowOf({ gate: waits, agents: new Map([['n1', { ...READY, ready: false, trouble: 'CrashLoopBackOff' }]]) })
        .message,
    ).toMatch(/node n1 is not ready: CrashLoopBackOff/);
  });

  it('in its state since the report, or since its gate runs', () => {
    expect(rowOf({ annotations: captured, gate: passed }).sinceMs).toBe(Date.parse('2026-01-01T00:05:00Z'));
    expect(rowOf({ gate: waits }).sinceMs).toBe(Date.parse('2026-01-01T00:08:00Z'));
  });
});

describe('pods that', () => {
  it('did not ask, or have ended, are not shown', () => {
    expect(rowOf({ annotations: { 'istio-pod-network-controller/initialize': 'false' } }).shown).toBe(false);
    expect(rowOf({ phase: 'Succeeded' }).shown).toBe(false);
  });

  it('carry hostile reports are shown, with nothing that could steer a terminal', () => {
    const hostile = {
      [STATUS]: `\u001b[2Jinitialized\u202e`,
      [MESSAGE]: `\u009b31m${'x'.repeat(100_000)}\n\r`,
      [CAPTURE]: `{"at": 5, "policy": "\\u0007", "ms": -1, "sandbox": ["s"]}`,
    };
    const row = rowOf({ annotations: hostile, gate: waits });
    expect(row.report).toMatchObject({
      status: '\\u001b[2Jinitialized\\u202e',
      policyHash: '\\u0007',
      sandbox: undefined,
      atMs: undefined,
      tookMs: undefined,
    });
    expect(row.message.length).toBeLessThan(400);
    expect(JSON.stringify(Object.values(row.report))).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    for (const report of ['{', 'null', '[]', '7', 'x'.repeat(300_000)])
      expect(rowOf({ annotations: { ...captured, [CAPTURE]: report }, gate: passed }).state).toBe('initialized');
  });
});
