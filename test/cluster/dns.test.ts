import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentLog, linesAbout, readyAgent } from '../support/cluster-agent.ts';
import { capturedState, redirectedPackets, requireSandbox, resolveOverTcp } from '../support/cluster-host.ts';
import { appPod, createPods, getPod, waitReady } from '../support/cluster-pods.ts';
import {
  apply,
  at,
  createNamespace,
  deleteNamespaces,
  kubectl,
  listAt,
  MESH,
  STATUS,
  textAt,
} from '../support/cluster.ts';

/** DNS capture: the proxy answers the application's queries, also for names that only the mesh knows. */
const NAMESPACE = 'pnc-test-dns';
/** In no DNS server: only a proxy knows it, from Istio. */
const MESH_NAME = 'ratings.mesh-only.example';
const MESH_ADDRESS = '203.0.113.77';
const CLUSTER_DNS = '10.96.0.10';
const DNS_CAPTURE = 'proxyMetadata: {ISTIO_META_DNS_CAPTURE: "true"}';
let netnsPath = '';

beforeAll(async () => {
  await createNamespace(NAMESPACE, MESH);
  await createPods(NAMESPACE, [
    appPod('captured', { annotations: { 'proxy.istio.io/config': DNS_CAPTURE } }),
    appPod('uncaptured'),
    appPod('ratings', { args: ['ratings'] }),
  ]);
  await waitReady(NAMESPACE, ['captured', 'uncaptured', 'ratings']);
  await apply([serviceEntry(textAt(await getPod(NAMESPACE, 'ratings'), 'status', 'podIP'))], NAMESPACE);
  const sandbox = await requireSandbox(textAt(await getPod(NAMESPACE, 'captured'), 'metadata', 'uid'));
  netnsPath = sandbox.netnsPath;
});
afterAll(() => deleteNamespaces([NAMESPACE]));

describe('a pod with DNS capture', () => {
  it('is captured, and both kinds of query are proven', async () => {
    const pod = await getPod(NAMESPACE, 'captured');
    expect(textAt(pod, 'metadata', 'annotations', STATUS)).toBe('initialized');
    expect((await capturedState(netnsPath)).table).toContain('15053');
    const [captured] = linesAbout(await agentLog(await readyAgent()), 'captured', `${NAMESPACE}/captured`);
    expect(at(captured?.fields, 'action')).toBe('applied');
    // The pod's one name server has no IPv6 address: nothing is left unproven all the same.
    expect(listAt(captured?.fields, 'unroutable')).toEqual([]);
  });

  it('finds names that only the proxy knows, over UDP, and what they lead to', async () => {
    const before = await redirectedPackets(netnsPath, 15_053);
    const answer = await fetchIn('captured', `http://${MESH_NAME}:9080/ratings/1`);
    expect([at(answer, 'error'), at(answer, 'status')]).toEqual([undefined, 200]);
    expect(textAt(answer, 'body')).toContain('Reviewer1');
    expect((await redirectedPackets(netnsPath, 15_053)) - before).toBeGreaterThan(0);
  });

  it('finds them over TCP, too', async () => {
    expect(await resolveOverTcp(netnsPath, { server: CLUSTER_DNS, name: MESH_NAME })).toEqual([MESH_ADDRESS]);
  });

  it('finds Services and, by way of the proxy, what the DNS server knows', async () => {
    const [istiod] = await resolveOverTcp(netnsPath, {
      server: CLUSTER_DNS,
      name: 'istiod.istio-system.svc.cluster.local',
    });
    expect(istiod).toMatch(/^10\.96\./);
    // Without a name server behind the proxy there would be no answer at all.
    const answer = await fetchIn('captured', 'http://no-such-name.example:9080/');
    expect(textAt(answer, 'error')).toMatch(/no such host/);
  });
});

it('a pod without it does not know the name', async () => {
  expect(textAt(await fetchIn('uncaptured', `http://${MESH_NAME}:9080/ratings/1`), 'error')).toMatch(/no such host/);
});

function serviceEntry(endpoint: string): object {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'mesh-only' },
    spec: {
      hosts: [MESH_NAME],
      addresses: [MESH_ADDRESS],
      location: 'MESH_INTERNAL',
      resolution: 'STATIC',
      ports: [{ number: 9080, name: 'http', protocol: 'HTTP' }],
      endpoints: [{ address: endpoint }],
    },
  };
}

/** A GET by the application's own program, whose resolver asks over UDP. */
async function fetchIn(pod: string, url: string): Promise<unknown> {
  const exec = ['exec', '-n', NAMESPACE, pod, '-c', 'app', '--', '/bookinfo', 'fetch', url];
  const results: unknown = JSON.parse(await kubectl(exec));
  return at(results, 0);
}
