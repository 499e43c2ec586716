import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Agent, type Metrics, metricsOf, readyAgent, restartAgent } from '../support/cluster-agent.ts';
import { processStatus } from '../support/cluster-host.ts';
import { appPod, createPods, getPods, waitReady } from '../support/cluster-pods.ts';
import { createNamespace, deleteNamespaces, MESH, STATUS, textAt, waitFor } from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-rest';
const PODS = Array.from({ length: 20 }, (_, index) => `rest-${index + 1}`);
let agent: Agent;
let metrics: Metrics;

beforeAll(async () => {
  await createNamespace(NAMESPACE, MESH);
  // Counters from nothing.
  agent = await restartAgent();
  await createPods(
    NAMESPACE,
    PODS.map((name) => appPod(name)),
  );
  await waitReady(NAMESPACE, PODS, 400_000);
  metrics = await waitFor(
    'everything is told',
    async () => {
      const now = await metricsOf(agent);
      return requests(now, 'create') >= PODS.length && now.sum('queue_depth') === 0 && now;
    },
    { timeoutMs: 30_000 },
  );
});
afterAll(() => deleteNamespaces([NAMESPACE]));

describe('the agent at rest with 20 mesh pods', () => {
  it('is the agent that was there from the first pod on, and captured all', async () => {
    expect(await readyAgent()).toEqual(agent);
    expect(metrics.sum('captures_total', { action: 'applied' })).toBe(PODS.length);
    const pods = await getPods(NAMESPACE);
    expect(pods.map((pod) => textAt(pod, 'metadata', 'annotations', STATUS))).toEqual(PODS.map(() => 'initialized'));
  });

  it('has patched each pod once, and read none', () => {
    const all = metrics.lines('api_requests_total').map((line) => line.replace(/^[^{]*/, ''));
    const rss = processStatus(agent.pid).rssKiB;
    process.stdout.write(
      `RSS ${(rss / 1024).toFixed(1)} MiB; since the agent's start, for ${PODS.length} pods: ` +
        `${requests(metrics, 'patch') / PODS.length} patches, ${requests(metrics, 'get') / PODS.length} reads, ` +
        `${requests(metrics, 'create') / PODS.length} Events a pod; ${metrics.sum('api_requests_total') / PODS.length} requests a pod in all\n` +
        `${all.join('\n')}\n`,
    );
    expect(requests(metrics, 'patch')).toBe(PODS.length);
    expect(requests(metrics, 'get')).toBe(0);
    expect(requests(metrics, 'create')).toBe(PODS.length);
    // One list of each collection at the start, however many pods there are.
    expect(requests(metrics, 'list')).toBe(2);
    expect(rss).toBeGreaterThan(0);
  });
});

function requests(of: Metrics, verb: string): number {
  return of.sum('api_requests_total', { verb });
}
