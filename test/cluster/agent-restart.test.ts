import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Agent, agentLog, linesAbout, metricsOf, restartAgent } from '../support/cluster-agent.ts';
import { capturedState, requireSandbox } from '../support/cluster-host.ts';
import { appPod, createPods, getPod, restartsOf, waitReady } from '../support/cluster-pods.ts';
import { at, createNamespace, deleteNamespaces, kubectlJson, listAt, MESH, textAt } from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-restart';
const PODS = ['one', 'two', 'three'];

/** Everything that would tell of a disturbance. */
interface Snapshot {
  /** With the kernel's handles, which no rewritten rule keeps. */
  readonly table: string;
  readonly mark: string;
  readonly resourceVersion: string;
  readonly restarts: number;
  readonly uid: string;
}

let before: readonly Snapshot[] = [];
let eventsBefore = 0;
let agent: Agent;

beforeAll(async () => {
  await createNamespace(NAMESPACE, MESH);
  await createPods(
    NAMESPACE,
    PODS.map((name) => appPod(name)),
  );
  await waitReady(NAMESPACE, PODS);
  before = await Promise.all(PODS.map(snapshot));
  eventsBefore = await events();
  agent = await restartAgent();
});
afterAll(() => deleteNamespaces([NAMESPACE]));

describe('an agent that is restarted', () => {
  it('leaves rules, marks and pods as they are', async () => {
    expect(before[0]?.table).toContain('"handle"');
    expect(await Promise.all(PODS.map(snapshot))).toEqual(before);
  });

  it('looked at each of them, and kept it', async () => {
    const log = await agentLog(agent);
    for (const name of PODS) {
      const lines = linesAbout(log, 'captured', `${NAMESPACE}/${name}`);
      expect(
        lines.map(({ fields }) => at(fields, 'action')),
        name,
      ).toEqual(['kept']);
    }
  });

  it('tells nobody anything new', async () => {
    const metrics = await metricsOf(agent);
    expect(metrics.sum('captures_total', { action: 'kept' })).toBeGreaterThanOrEqual(PODS.length);
    expect(metrics.sum('captures_total', { action: 'applied' })).toBe(0);
    expect(metrics.sum('captures_total', { action: 'remarked' })).toBe(0);
    expect(metrics.sum('api_requests_total', { verb: 'patch' })).toBe(0);
    expect(await events()).toBe(eventsBefore);
  });
});

async function snapshot(name: string): Promise<Snapshot> {
  const pod = await getPod(NAMESPACE, name);
  const uid = textAt(pod, 'metadata', 'uid');
  const { netnsPath } = await requireSandbox(uid);
  return {
    ...(await capturedState(netnsPath)),
    resourceVersion: textAt(pod, 'metadata', 'resourceVersion'),
    restarts: restartsOf(pod),
    uid,
  };
}

/** Events of ours in the Namespace. */
async function events(): Promise<number> {
  const all = listAt(await kubectlJson(['get', 'events.v1.events.k8s.io', '-n', NAMESPACE]), 'items');
  return all.filter((event) => textAt(event, 'reportingController').includes('istio-pod-network-controller')).length;
}
