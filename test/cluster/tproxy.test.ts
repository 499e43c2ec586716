import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentLog, linesAbout, readyAgent } from '../support/cluster-agent.ts';
import {
  capturedState,
  echoFrom,
  type HostSandbox,
  inNetns,
  requireSandbox,
  takenByEnvoy,
} from '../support/cluster-host.ts';
import { appPod, createPods, getPod, LISTENER_STATISTICS, logOf, stateOf, waitReady } from '../support/cluster-pods.ts';
import {
  at,
  createNamespace,
  deleteNamespaces,
  GATE,
  INITIALIZE,
  kubectl,
  listAt,
  MESH,
  STATUS,
  textAt,
  waitFor,
} from '../support/cluster.ts';

/**
 * TPROXY: Envoy gets inbound connections with the addresses they came with, and the application sees the client's. Istio's own template
 * gives such a pod's sidecar root and NET_ADMIN, which no Pod Security level but `privileged` allows; the gate needs neither.
 */
const NAMESPACE = 'pnc-test-tproxy';
const INBOUND_PORT = 15_006;
let client: Pod;
let servers: { readonly TPROXY: Pod; readonly REDIRECT: Pod };

beforeAll(async () => {
  await createNamespace(NAMESPACE, { ...MESH, labels: { 'istio-injection': 'enabled' } });
  await createPods(NAMESPACE, [
    appPod('tproxy', { annotations: { ...LISTENER_STATISTICS, 'sidecar.istio.io/interceptionMode': 'TPROXY' } }),
    appPod('redirect', { annotations: LISTENER_STATISTICS }),
    appPod('ratings', { args: ['ratings'] }),
    appPod('client', { annotations: { [INITIALIZE]: 'false' }, labels: { 'sidecar.istio.io/inject': 'false' } }),
  ]);
  await waitReady(NAMESPACE, ['tproxy', 'redirect', 'ratings', 'client']);
  client = await podOf('client');
  servers = { TPROXY: await podOf('tproxy'), REDIRECT: await podOf('redirect') };
});
afterAll(() => deleteNamespaces([NAMESPACE]));

describe('a pod with interceptionMode TPROXY', () => {
  it('is captured, proven and let through its gate', async () => {
    const pod = await getPod(NAMESPACE, 'tproxy');
    expect(stateOf(pod, GATE)).toBe('terminated');
    expect(textAt(pod, 'metadata', 'annotations', STATUS)).toBe('initialized');
    const { table, mark } = await capturedState(servers.TPROXY.sandbox.netnsPath);
    expect(table).toContain('"tproxy"');
    expect(mark).toMatch(/ ready [0-9a-f]{16}$/);
    const [captured] = linesAbout(await agentLog(await readyAgent()), 'captured', `${NAMESPACE}/tproxy`);
    expect(at(captured?.fields, 'action')).toBe('applied');
    expect(listAt(captured?.fields, 'unroutable')).toEqual([]);
  });

  it('has one rule and one route a family, and none of it needs a capability in the pod', async () => {
    const { netnsPath } = servers.TPROXY.sandbox;
    for (const family of ['-4', '-6']) {
      const rules = (await inNetns(netnsPath, ['ip', family, 'rule']))
        .split('\n')
        .filter((line) => line.includes('fwmark'));
      expect(rules).toEqual([expect.stringMatching(/fwmark 0x539 lookup 133 proto 163/)]);
      expect(await inNetns(netnsPath, ['ip', family, 'route', 'show', 'table', '133'])).toMatch(
        /^local default dev lo /,
      );
    }
    const gate = listAt(await getPod(NAMESPACE, 'tproxy'), 'spec', 'initContainers')[0];
    expect(at(gate, 'securityContext', 'capabilities', 'add')).toBeUndefined();
    expect(at(gate, 'securityContext', 'runAsNonRoot')).toBe(true);
  });

  it("gives its application the client's address, by way of Envoy; REDIRECT gives it Envoy's", async () => {
    for (const [mode, from] of [
      ['TPROXY', client.ip],
      ['REDIRECT', '127.0.0.6'],
    ] as const) {
      const server = servers[mode];
      const before = await takenByEnvoy(server.sandbox.netnsPath, INBOUND_PORT);
      // A whole line: Envoy looks whether it is HTTP before it goes on.
      const text = `hello ${mode}\n`;
      expect(await echoFrom(client.sandbox.netnsPath, { address: `${server.ip}:9080`, text })).toBe(text);
      expect((await takenByEnvoy(server.sandbox.netnsPath, INBOUND_PORT)) - before).toBe(1);
      const seen = await waitFor(
        'the application has logged it',
        async () => (await logOf(NAMESPACE, server.name, 'app')).find((line) => line.text.includes('connected'))?.text,
        { timeoutMs: 10_000 },
      );
      process.stdout.write(`${mode}: ${seen}\n`);
      expect(seen).toMatch(new RegExp(`from="?(\\[::ffff:)?${from.replaceAll('.', '\\.')}\\]?:\\d+`));
    }
  });

  it('reaches others through its Envoy', async () => {
    const { ip } = await podOf('ratings');
    const exec = [
      'exec',
      '-n',
      NAMESPACE,
      'tproxy',
      '-c',
      'app',
      '--',
      '/bookinfo',
      'fetch',
      `http://${ip}:9080/ratings/1`,
    ];
    const answer: unknown = JSON.parse(await kubectl(exec));
    expect([at(answer, 0, 'error'), at(answer, 0, 'status')]).toEqual([undefined, 200]);
    expect(textAt(answer, 0, 'headers', 'Server', 0)).toMatch(/envoy/);
  });
});

interface Pod {
  readonly name: string;
  readonly ip: string;
  readonly sandbox: HostSandbox;
}

async function podOf(name: string): Promise<Pod> {
  const pod = await getPod(NAMESPACE, name);
  return { name, ip: textAt(pod, 'status', 'podIP'), sandbox: await requireSandbox(textAt(pod, 'metadata', 'uid')) };
}
