import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEscapes } from '../../lab/guard.ts';
import { agentLog, linesAbout, readyAgent } from '../support/cluster-agent.ts';
import {
  capturedState,
  type HostSandbox,
  requireSandbox,
  runningContainers,
  takenByEnvoy,
} from '../support/cluster-host.ts';
import {
  appPod,
  createPods,
  getPod,
  LISTENER_STATISTICS,
  OUTSIDE_IPV4,
  stateOf,
  waitReady,
} from '../support/cluster-pods.ts';
import {
  at,
  createNamespace,
  deleteNamespaces,
  GATE,
  kubectl,
  listAt,
  MESH,
  STATUS,
  textAt,
} from '../support/cluster.ts';

/** Pods with a user namespace of their own: users of the host, the agent's root among them, are nobody in their rules. */
const NAMESPACE = 'pnc-test-host-users';
/** As `hostUsers: false` asks for: the pod's root is an ordinary user of the node. */
const OWN_USERS = { spec: { hostUsers: false }, annotations: LISTENER_STATISTICS };
let client: HostSandbox;
let server: HostSandbox;

beforeAll(async () => {
  await createNamespace(NAMESPACE, MESH);
  await createPods(NAMESPACE, [appPod('client', OWN_USERS), appPod('server', { ...OWN_USERS, args: ['ratings'] })]);
  await waitReady(NAMESPACE, ['client', 'server']);
  [client, server] = await Promise.all([sandbox('client'), sandbox('server')]);
});
afterAll(() => deleteNamespaces([NAMESPACE]));

describe('a pod with hostUsers: false', () => {
  it('really has users of its own', async () => {
    for (const name of ['client', 'server']) {
      const running = await runningContainers(textAt(await getPod(NAMESPACE, name), 'metadata', 'uid'));
      const app = running.find((container) => container.name === 'app');
      const [inside, outside] = readFileSync(`/proc/${app?.pid}/uid_map`, 'utf8').trim().split(/\s+/);
      expect(inside).toBe('0');
      expect(Number(outside)).toBeGreaterThan(65_535);
    }
  });

  it('is captured, proven and let through its gate', async () => {
    for (const [name, { netnsPath }] of [
      ['client', client],
      ['server', server],
    ] as const) {
      const pod = await getPod(NAMESPACE, name);
      expect(stateOf(pod, GATE)).toBe('terminated');
      expect(textAt(pod, 'metadata', 'annotations', STATUS)).toBe('initialized');
      const { table, mark } = await capturedState(netnsPath);
      expect(table).toContain('"redirect"');
      expect(mark).toMatch(/ ready [0-9a-f]{16}$/);
      const [captured] = linesAbout(await agentLog(await readyAgent()), 'captured', `${NAMESPACE}/${name}`);
      expect(at(captured?.fields, 'action')).toBe('applied');
      expect(listAt(captured?.fields, 'unroutable')).toEqual([]);
    }
  });

  it('sends through its Envoy, and is reached through its Envoy', async () => {
    const before = [await takenByEnvoy(client.netnsPath, 15_001), await takenByEnvoy(server.netnsPath, 15_006)];
    const address = textAt(await getPod(NAMESPACE, 'server'), 'status', 'podIP');
    const answer = await inClient(['fetch', `http://${address}:9080/ratings/1`]);
    expect(at(answer, 0, 'error')).toBeUndefined();
    expect(at(answer, 0, 'status')).toBe(200);
    expect(textAt(answer, 0, 'body')).toContain('Reviewer1');
    expect(textAt(answer, 0, 'headers', 'Server', 0)).toMatch(/envoy/);
    const after = [await takenByEnvoy(client.netnsPath, 15_001), await takenByEnvoy(server.netnsPath, 15_006)];
    expect(after.map((total, index) => total - (before[index] ?? 0))).toEqual([1, 1]);
  });

  it('lets nothing past its Envoy', async () => {
    const taken = await takenByEnvoy(client.netnsPath, 15_001);
    const escapes = await readEscapes();
    await inClient(['connect', ...OUTSIDE_IPV4]);
    expect((await takenByEnvoy(client.netnsPath, 15_001)) - taken).toBe(OUTSIDE_IPV4.length);
    // Envoy itself may dial what the application asked for: its SYN is the only one on the bridge.
    expect((await readEscapes()).ipv6).toBe(escapes.ipv6);
  });
});

async function sandbox(name: string): Promise<HostSandbox> {
  return requireSandbox(textAt(await getPod(NAMESPACE, name), 'metadata', 'uid'));
}

/** By the application's own program in its own container. */
async function inClient(args: readonly string[]): Promise<unknown> {
  return JSON.parse(await kubectl(['exec', '-n', NAMESPACE, 'client', '-c', 'app', '--', '/bookinfo', ...args]));
}
