import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentAway, agentLog, agentMayReturn, linesAbout, readyAgent } from '../support/cluster-agent.ts';
import {
  capturedState,
  connectFrom,
  processStatus,
  processTree,
  requireSandbox,
  runningContainers,
} from '../support/cluster-host.ts';
import {
  appPod,
  createPods,
  getPod,
  handMadeGate,
  logOf,
  standInSidecar,
  stateOf,
  statusOf,
  waitReady,
  waitStarted,
} from '../support/cluster-pods.ts';
import { policyOff } from '../support/cluster-policy-off.ts';
import { at, createNamespace, deleteNamespaces, GATE, INITIALIZE, MESH, STATUS, textAt } from '../support/cluster.ts';

const MESH_NAMESPACE = 'pnc-test-away';
const PLAIN = 'pnc-test-away-plain';
const FORGED = { [STATUS]: 'initialized', 'pod-network-controller.istio.io/capture': '{"policy":"0"}' };
const WAITING = ['waiting', 'forged'] as const;
/** Long enough for a gate that looks at what it should not: it looks many times a second. */
const STAYS_SHUT_MS = 3_000;
const GOES_ON_WITHIN_MS = 1_000;

beforeAll(async () => {
  await createNamespace(MESH_NAMESPACE, MESH);
  await createNamespace(PLAIN, { annotations: { [INITIALIZE]: 'true' } });
  await agentAway();
  // The gate must not need the policy that keeps others from forging: a cluster may have it switched off.
  const policyOn = await policyOff('istio-pod-network-controller-annotations', {
    namespace: PLAIN,
    refused: appPod('forged', { annotations: FORGED }),
  });
  try {
    await createPods(MESH_NAMESPACE, [appPod('waiting'), appPod('forged', { annotations: FORGED })]);
    await createPods(PLAIN, [
      appPod('unmeshed', { annotations: { [INITIALIZE]: 'false' } }),
      await forgedWithFile('forged-file', []),
      // What the original did, and all it did: this pod shows that the forgery above is one.
      await forgedWithFile('forged-only', ['--gate=annotation']),
    ]);
  } finally {
    await policyOn();
  }
  for (const name of WAITING) await waitStarted(MESH_NAMESPACE, name, GATE);
  await waitStarted(PLAIN, 'forged-file', GATE);
});

afterAll(async () => {
  await agentMayReturn();
  await deleteNamespaces([MESH_NAMESPACE, PLAIN]);
  await readyAgent();
});

describe('while the agent is away', () => {
  it('starts an unmeshed pod as usual', async () => {
    await waitReady(PLAIN, ['unmeshed'], 30_000);
  });

  it('keeps a new mesh pod at its gate, which says why', async () => {
    const lines = await logOf(MESH_NAMESPACE, 'waiting', GATE);
    expect(lines.map(({ text }) => text).join('\n')).toMatch(/wait/i);
    const pod = await getPod(MESH_NAMESPACE, 'waiting');
    expect(stateOf(pod, GATE)).toBe('running');
    expect(stateOf(pod, 'istio-proxy')).toBe('waiting');
    expect(stateOf(pod, 'app')).toBe('waiting');
  });

  it('runs the gate without any privilege', async () => {
    const pod = await getPod(MESH_NAMESPACE, 'waiting');
    const gate = (await runningContainers(textAt(pod, 'metadata', 'uid'))).find(({ name }) => name === GATE);
    if (gate === undefined) throw new Error('the gate does not run');
    for (const pid of processTree(gate.pid)) {
      const status = processStatus(pid);
      expect(status.uids).not.toContain(0);
      expect([status.capEffective, status.capPermitted, status.capBounding]).toEqual([0n, 0n, 0n]);
      expect(status.noNewPrivileges).toBe(true);
    }
  });

  it('does not open the gate for an annotation that the author of the pod set', async () => {
    await waitReady(PLAIN, ['forged-only'], 60_000);
    await delay(STAYS_SHUT_MS);
    for (const [namespace, name] of [
      [MESH_NAMESPACE, 'forged'],
      [PLAIN, 'forged-file'],
    ] as const) {
      const pod = await getPod(namespace, name);
      expect(textAt(pod, 'metadata', 'annotations', STATUS), name).toBe('initialized');
      expect(stateOf(pod, GATE), name).toBe('running');
      expect(at(statusOf(pod, GATE), 'restartCount'), name).toBe(0);
    }
  });
});

describe('when the agent is back', () => {
  it('every gate goes on within a second, and not before its netns is captured', async () => {
    await agentMayReturn();
    await waitReady(MESH_NAMESPACE, WAITING);
    await waitReady(PLAIN, ['forged-file']);
    const log = await agentLog(await readyAgent());
    const started = log[0]?.timeMs ?? Number.NaN;
    // From here the agent knows its pods; before it, it starts and asks the API server.
    const synced = log.find(({ message }) => message === 'synced')?.timeMs ?? Number.NaN;
    for (const [namespace, name] of [
      [MESH_NAMESPACE, 'waiting'],
      [MESH_NAMESPACE, 'forged'],
      [PLAIN, 'forged-file'],
    ] as const) {
      const captured = linesAbout(log, 'captured', `${namespace}/${name}`)[0]?.timeMs ?? Number.NaN;
      const passed = (await logOf(namespace, name, GATE)).at(-1)?.timeMs ?? Number.NaN;
      process.stdout.write(
        `${name}: agent's first line → synced ${synced - started} ms → captured ${captured - synced} ms → gate's last line ${passed - captured} ms\n`,
      );
      // The gate may see the mark in the same millisecond in which the agent's line is taken.
      expect(passed - captured, name).toBeGreaterThanOrEqual(-20);
      expect(passed - synced, name).toBeLessThan(GOES_ON_WITHIN_MS);
    }
  });

  it('the pods are captured like any other', async () => {
    for (const name of WAITING) {
      const pod = await getPod(MESH_NAMESPACE, name);
      const { netnsPath } = await requireSandbox(textAt(pod, 'metadata', 'uid'));
      expect((await capturedState(netnsPath)).mark).toMatch(/ ready [0-9a-f]{16}$/);
      const [connect] = await connectFrom(netnsPath, { uid: 1000, addresses: ['192.0.2.1:80'] });
      expect(connect?.outcome).toBe('connected');
      expect(textAt(pod, 'metadata', 'annotations', 'pod-network-controller.istio.io/capture')).toContain('"sandbox"');
    }
  });
});

/** As the original's users mounted it, and the annotation already there. */
async function forgedWithFile(name: string, args: readonly string[]): Promise<object> {
  const gate = await handMadeGate(['--file=/etc/podinfo/annotations', ...args], {
    volumeMounts: [{ name: 'podinfo', mountPath: '/etc/podinfo' }],
  });
  const items = [{ path: 'annotations', fieldRef: { fieldPath: 'metadata.annotations' } }];
  return appPod(name, {
    annotations: FORGED,
    initContainers: [gate, standInSidecar()],
    spec: { volumes: [{ name: 'podinfo', downwardAPI: { items } }] },
  });
}
