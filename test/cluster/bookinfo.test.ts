import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metricsOf, readyAgent } from '../support/cluster-agent.ts';
import {
  capturedState,
  processStatus,
  processTree,
  requireSandbox,
  runningContainers,
  takenByEnvoy,
} from '../support/cluster-host.ts';
import { bookinfo, getPods } from '../support/cluster-pods.ts';
import {
  apply,
  at,
  createNamespace,
  deleteNamespaces,
  GATE,
  kubectl,
  listAt,
  MESH,
  textAt,
  tryKubectl,
} from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-bookinfo';
/** CAP_SYS_ADMIN (21) and CAP_NET_ADMIN (12). */
const AGENT_CAPABILITIES = 0x201000n;
let pods: readonly unknown[] = [];

beforeAll(async () => {
  await createNamespace(NAMESPACE, MESH);
  await apply(bookinfo(), NAMESPACE);
  const wait = ['wait', '-n', NAMESPACE, '--for=condition=Available', '--timeout=240s', 'deployment', '--all'];
  await kubectl(wait, { timeoutMs: 250_000 });
  pods = await getPods(NAMESPACE);
});

afterAll(() => deleteNamespaces([NAMESPACE]));

describe('bookinfo under Pod Security restricted', () => {
  it('runs all six pods, each with a proxy and captured', async () => {
    expect(pods.length).toBe(6);
    for (const pod of pods) {
      const ready = listAt(pod, 'status', 'conditions').find((condition) => at(condition, 'type') === 'Ready');
      expect(at(ready, 'status'), name(pod)).toBe('True');
      expect(listAt(pod, 'spec', 'initContainers').map((container) => at(container, 'name'))).toEqual([
        GATE,
        'istio-proxy',
      ]);
      const { netnsPath } = await requireSandbox(textAt(pod, 'metadata', 'uid'));
      const { table, mark } = await capturedState(netnsPath);
      expect(table, name(pod)).toContain('"redirect"');
      expect(mark).toMatch(/^istio-pod-network-controller v1 ready [0-9a-f]{16}$/);
    }
  });

  it('lets Pod Security refuse what is not restricted, so that the label is not just there', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'privileged', annotations: { 'sidecar.istio.io/inject': 'false' } },
      spec: { containers: [{ name: 'app', image: 'none', securityContext: { capabilities: { add: ['NET_ADMIN'] } } }] },
    };
    const create = ['create', '-n', NAMESPACE, '--dry-run=server', '-f', '-'];
    const { code, stderr } = await tryKubectl(create, { input: JSON.stringify(pod) });
    expect(code).not.toBe(0);
    expect(stderr).toContain('violates PodSecurity "restricted');
  });

  it('gives no container a capability, root or the right to escalate', () => {
    for (const pod of pods) {
      const ofPod = at(pod, 'spec', 'securityContext');
      for (const container of containersOf(pod)) {
        const label = `${name(pod)} ${textAt(container, 'name')}`;
        const own = at(container, 'securityContext');
        expect(at(own, 'capabilities', 'add'), label).toBeUndefined();
        expect(at(own, 'capabilities', 'drop'), label).toEqual(['ALL']);
        expect(at(own, 'allowPrivilegeEscalation'), label).toBe(false);
        expect(at(own, 'privileged') ?? false, label).toBe(false);
        expect(at(own, 'runAsNonRoot') ?? at(ofPod, 'runAsNonRoot'), label).toBe(true);
        expect(at(own, 'runAsUser') ?? at(ofPod, 'runAsUser'), label).not.toBe(0);
      }
    }
  });

  it('has no process with a capability, of root, or that could get either', async () => {
    for (const pod of pods) {
      const running = await runningContainers(textAt(pod, 'metadata', 'uid'));
      expect(running.map((container) => container.name)).toContain('istio-proxy');
      for (const { name: container, pid } of running.filter((entry) => entry.name !== '(sandbox)')) {
        for (const process of processTree(pid)) {
          const status = processStatus(process);
          const label = `${name(pod)} ${container} pid ${process}`;
          expect(status.uids, label).not.toContain(0);
          expect([status.capEffective, status.capPermitted, status.capBounding], label).toEqual([0n, 0n, 0n]);
          expect(status.noNewPrivileges, label).toBe(true);
        }
      }
    }
  });
});

describe('the agent that captured it', () => {
  it('holds SYS_ADMIN and NET_ADMIN and nothing else', async () => {
    const status = processStatus((await readyAgent()).pid);
    expect([status.capEffective, status.capPermitted, status.capBounding]).toEqual([
      AGENT_CAPABILITIES,
      AGENT_CAPABILITIES,
      AGENT_CAPABILITIES,
    ]);
  });

  it('counts its work', async () => {
    const metrics = await metricsOf(await readyAgent());
    expect(metrics.sum('captures_total')).toBeGreaterThanOrEqual(6);
    expect(metrics.sum('pods', { state: 'refused' })).toBe(0);
  });
});

describe('the product page', () => {
  it('comes through Envoy on both sides', async () => {
    const ratings = pods.find((pod) => name(pod).startsWith('ratings'));
    const before = await inboundConnections();
    const page = await fetchIn(ratings, 'ratings', 'http://productpage:9080/productpage');
    expect(at(page, 'error')).toBeUndefined();
    expect(at(page, 'status')).toBe(200);
    expect(textAt(page, 'body')).toContain('William Shakespeare');
    expect(textAt(page, 'body')).toContain('Reviews served by');
    expect(textAt(page, 'headers', 'Server', 0)).toMatch(/envoy/);
    expect(textAt(page, 'headers', 'X-Envoy-Upstream-Service-Time', 0)).toMatch(/^\d+$/);
    expect(await inboundConnections()).toBeGreaterThan(before);
  });
});

/** Connections that the product page's own Envoy took as inbound. */
async function inboundConnections(): Promise<number> {
  const productpage = pods.find((pod) => name(pod).startsWith('productpage'));
  const { netnsPath } = await requireSandbox(textAt(productpage, 'metadata', 'uid'));
  return takenByEnvoy(netnsPath, 15006);
}

/** A GET by the application's own program in its own container. */
async function fetchIn(pod: unknown, container: string, url: string): Promise<unknown> {
  const exec = ['exec', '-n', NAMESPACE, name(pod), '-c', container, '--', '/bookinfo', 'fetch', url];
  const results: unknown = JSON.parse(await kubectl(exec));
  return at(results, 0);
}

function containersOf(pod: unknown): readonly unknown[] {
  return [...listAt(pod, 'spec', 'initContainers'), ...listAt(pod, 'spec', 'containers')];
}

function name(pod: unknown): string {
  return textAt(pod, 'metadata', 'name');
}
