import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEscapes } from '../../lab/guard.ts';
import {
  connectFrom,
  escapedOf,
  type HostSandbox,
  listens,
  redirectedPackets,
  requireSandbox,
  takenByEnvoy,
} from '../support/cluster-host.ts';
import {
  appPod,
  bookinfo,
  createPods,
  getPod,
  getPods,
  OUTSIDE,
  OUTSIDE_IPV4,
  OUTSIDE_IPV6,
  REGISTRY_ONLY,
  waitReady,
} from '../support/cluster-pods.ts';
import { apply, createNamespace, deleteNamespaces, INITIALIZE, kubectl, MESH, textAt } from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-escape';
const PLAIN = 'pnc-test-escape-plain';
const ENVOY_PORT = 15001;
const PROXY_UID = 1337;
/** Root, the pods' own user, and one that no passwd file knows. */
const OTHER_UIDS = [0, 1000, 65_532];

let pods: readonly { readonly name: string; readonly sandbox: HostSandbox }[] = [];

beforeAll(async () => {
  await createNamespace(NAMESPACE, MESH);
  await createNamespace(PLAIN, { annotations: { [INITIALIZE]: 'true' } });
  await apply([REGISTRY_ONLY], NAMESPACE);
  await apply(bookinfo(), NAMESPACE);
  await createPods(PLAIN, [appPod('uncaptured', { annotations: { [INITIALIZE]: 'false' } })]);
  const wait = ['wait', '-n', NAMESPACE, '--for=condition=Available', '--timeout=240s', 'deployment', '--all'];
  await kubectl(wait, { timeoutMs: 250_000 });
  await waitReady(PLAIN, ['uncaptured']);
  pods = await Promise.all(
    (await getPods(NAMESPACE)).map(async (pod) => ({
      name: textAt(pod, 'metadata', 'name'),
      sandbox: await requireSandbox(textAt(pod, 'metadata', 'uid')),
    })),
  );
});

afterAll(() => deleteNamespaces([NAMESPACE, PLAIN]));

describe('a connect to the outside', () => {
  it('is counted on the bridge when nothing captures it: the witness works', async () => {
    const uncaptured = await getPod(PLAIN, 'uncaptured');
    const { netnsPath } = await requireSandbox(textAt(uncaptured, 'metadata', 'uid'));
    const before = await readEscapes();
    const connects = await connectFrom(netnsPath, { uid: 1000, addresses: OUTSIDE });
    const after = await readEscapes();
    expect(connects.map(({ outcome }) => outcome)).toEqual(OUTSIDE.map(() => 'ETIMEDOUT'));
    for (const address of OUTSIDE)
      expect(escapedOf(after, address), address).toBeGreaterThan(escapedOf(before, address));
    expect(after.ipv4 - before.ipv4).toBeGreaterThanOrEqual(OUTSIDE_IPV4.length);
    expect(after.ipv6 - before.ipv6).toBeGreaterThanOrEqual(OUTSIDE_IPV6.length);
  });

  it('ends at Envoy in every bookinfo pod, in both families, and nothing reaches the bridge', async () => {
    expect(pods.length).toBe(6);
    const before = await readEscapes();
    for (const { name, sandbox } of pods) for (const uid of OTHER_UIDS) await expectCaptured(name, sandbox, uid);
    const after = await readEscapes();
    for (const address of OUTSIDE) expect(escapedOf(after, address), address).toBe(escapedOf(before, address));
    expect([after.ipv4, after.ipv6]).toEqual([before.ipv4, before.ipv6]);
  });

  it('of Envoy itself is let out, to the bridge', async () => {
    for (const { name, sandbox } of pods.slice(0, 1)) {
      const before = await readEscapes();
      await connectFrom(sandbox.netnsPath, { uid: PROXY_UID, addresses: OUTSIDE });
      const after = await readEscapes();
      for (const address of OUTSIDE) {
        expect(escapedOf(after, address), `${name} ${address}`).toBeGreaterThan(escapedOf(before, address));
      }
    }
  });
});

async function expectCaptured(name: string, { netnsPath, pid }: HostSandbox, uid: number): Promise<void> {
  const label = `${name} uid ${uid}`;
  const packets = await redirectedPackets(netnsPath, ENVOY_PORT);
  const taken = await takenByEnvoy(netnsPath, ENVOY_PORT);
  const connects = await connectFrom(netnsPath, { uid, addresses: OUTSIDE });
  // Without Istio's dual-stack switch Envoy does not listen on IPv6: the redirect ends at a closed port of the pod, at once.
  const ipv6 = listens(pid, ENVOY_PORT, 6) ? 'connected' : 'ECONNREFUSED';
  expect(
    connects.map(({ address, outcome }) => `${address} ${outcome}`),
    label,
  ).toEqual([
    ...OUTSIDE_IPV4.map((address) => `${address} connected`),
    ...OUTSIDE_IPV6.map((address) => `${address} ${ipv6}`),
  ]);
  expect((await redirectedPackets(netnsPath, ENVOY_PORT)) - packets, label).toBeGreaterThanOrEqual(OUTSIDE.length);
  const expected = ipv6 === 'connected' ? OUTSIDE.length : OUTSIDE_IPV4.length;
  expect((await takenByEnvoy(netnsPath, ENVOY_PORT)) - taken, label).toBeGreaterThanOrEqual(expected);
}
