import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Agent, type Metrics, metricsOf, readyAgent } from '../support/cluster-agent.ts';
import { capturedState, connectFrom, HOST_NETNS, requireSandbox } from '../support/cluster-host.ts';
import { appPod, createPods, getPod, waitReady } from '../support/cluster-pods.ts';
import {
  at,
  CAPTURE,
  createNamespace,
  deleteNamespaces,
  INITIALIZE,
  MESSAGE,
  STATUS,
  textAt,
  waitFor,
} from '../support/cluster.ts';

/** Nothing here asks to be captured; Istio injects its sidecar, with its own istio-init, into one pod. */
const PLAIN = 'pnc-test-plain';
/** Everything here is asked for, and Istio injects. */
const WANTED = 'pnc-test-wanted';

const OURS_NOT = [
  { namespace: PLAIN, name: 'unmeshed', reason: 'NotSelected' },
  { namespace: PLAIN, name: 'stock-istio', reason: 'NotSelected' },
  { namespace: WANTED, name: 'opted-out', reason: 'OptedOut' },
  { namespace: WANTED, name: 'host-network', reason: 'HostNetwork' },
] as const;

let agent: Agent;
let before: Metrics;
let hostBefore: Awaited<ReturnType<typeof capturedState>>;

beforeAll(async () => {
  await createNamespace(PLAIN);
  await createNamespace(WANTED, {
    labels: { 'istio-injection': 'enabled' },
    annotations: { [INITIALIZE]: 'true' },
  });
  agent = await readyAgent();
  before = await metricsOf(agent);
  hostBefore = await capturedState(HOST_NETNS);
  await createPods(PLAIN, [
    appPod('unmeshed'),
    appPod('stock-istio', { labels: { 'sidecar.istio.io/inject': 'true' }, spec: { securityContext: {} } }),
  ]);
  await createPods(WANTED, [
    appPod('opted-out', { annotations: { [INITIALIZE]: 'false' }, labels: { 'sidecar.istio.io/inject': 'false' } }),
    appPod('host-network', { args: ['echo', '--listen', '127.0.0.1:19080'], spec: { hostNetwork: true } }),
  ]);
  for (const { namespace, name } of OURS_NOT) await waitReady(namespace, [name]);
});
afterAll(() => deleteNamespaces([PLAIN, WANTED]));

describe('pods that are not ours', () => {
  it('are each decided on, with the reason counted', async () => {
    for (const reason of ['NotSelected', 'OptedOut', 'HostNetwork']) {
      const wanted = OURS_NOT.filter((pod) => pod.reason === reason).length;
      const decided = async () => decisions(await metricsOf(agent), reason) - decisions(before, reason) >= wanted;
      await waitFor(`${wanted} × ${reason}`, decided, { timeoutMs: 10_000 });
    }
  });

  it('have a netns that the agent never entered', async () => {
    // Nothing else is made in the cluster meanwhile, so the counter stands still.
    expect((await metricsOf(agent)).sum('netns_entries_total')).toBe(before.sum('netns_entries_total'));
  });

  it('hold nothing of ours', async () => {
    for (const { namespace, name } of OURS_NOT) {
      const pod = await getPod(namespace, name);
      const label = `${namespace}/${name}`;
      for (const key of [STATUS, CAPTURE, MESSAGE])
        expect(at(pod, 'metadata', 'annotations', key), label).toBeUndefined();
      if (name === 'host-network') continue;
      const { netnsPath } = await requireSandbox(textAt(pod, 'metadata', 'uid'));
      expect(await capturedState(netnsPath), label).toEqual({ table: '', mark: '' });
    }
  });

  it('leave the host as it was', async () => {
    expect(hostBefore).toEqual({ table: '', mark: '' });
    expect(await capturedState(HOST_NETNS)).toEqual(hostBefore);
  });

  it('keep their network: the opted-out one is not redirected, the stock one is, by Istio', async () => {
    expect(await connects(WANTED, 'opted-out')).toBe('ETIMEDOUT');
    expect(await connects(PLAIN, 'stock-istio')).toBe('connected');
  });
});

function decisions(metrics: Metrics, reason: string): number {
  return metrics.sum('decisions_total', { reason });
}

async function connects(namespace: string, name: string): Promise<string | undefined> {
  const { netnsPath } = await requireSandbox(textAt(await getPod(namespace, name), 'metadata', 'uid'));
  const [connect] = await connectFrom(netnsPath, { uid: 1000, addresses: ['192.0.2.1:80'] });
  return connect?.outcome;
}
