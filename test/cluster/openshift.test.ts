import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { securityContextConstraintsCrd } from '../../lab/published-crds.ts';
import { CHART, HELM, PRODUCT, template, tryHelm } from '../support/chart.ts';
import {
  capturedState,
  type HostSandbox,
  processStatus,
  requireSandbox,
  runningContainers,
  takenByEnvoy,
} from '../support/cluster-host.ts';
import { appPod, createPods, getPod, LISTENER_STATISTICS, stateOf, waitReady } from '../support/cluster-pods.ts';
import {
  at,
  createNamespace,
  deleteNamespaces,
  GATE,
  kubectl,
  kubectlJson,
  MESH,
  STATUS,
  textAt,
  tryKubectl,
} from '../support/cluster.ts';
import {
  annotationsOf,
  type Constraints,
  NONROOT_V2,
  ORDINARY,
  type Ranges,
  refusalsOf,
  RESTRICTED_V2,
  RESTRICTED_V3,
  shapedBy,
  USER_NAMESPACES,
} from '../support/openshift-scc.ts';

/** Not an OpenShift: its published schema for the chart's objects, and pods as its admission shapes them, on the lab's Kubernetes. */
interface Shape {
  readonly namespace: string;
  readonly constraints: Constraints;
  readonly ranges: Ranges;
  /** Of the application, where the constraints leave it open. */
  readonly runAsUser: number | undefined;
  readonly proxyUid: number;
  readonly appUid: number;
}

const SHAPES: readonly Shape[] = [
  {
    namespace: 'pnc-test-restricted-v2',
    constraints: RESTRICTED_V2,
    ranges: ORDINARY,
    runAsUser: undefined,
    proxyUid: 1_000_689_999,
    appUid: 1_000_680_000,
  },
  {
    namespace: 'pnc-test-nonroot-v2',
    constraints: NONROOT_V2,
    ranges: ORDINARY,
    runAsUser: 4711,
    proxyUid: 1_000_689_999,
    appUid: 4711,
  },
  {
    namespace: 'pnc-test-restricted-v3',
    constraints: RESTRICTED_V3,
    ranges: USER_NAMESPACES,
    runAsUser: undefined,
    proxyUid: 10_999,
    appUid: 1000,
  },
];

describe("the chart's SecurityContextConstraints, under OpenShift's published schema", () => {
  let definition = '';
  beforeAll(async () => {
    definition = await securityContextConstraintsCrd();
    await kubectl(['apply', '--server-side', '-f', definition]);
    await kubectl(['wait', '--for=condition=Established', '--timeout=60s', '-f', definition]);
  });
  afterAll(() => kubectl(['delete', '-f', definition, '--ignore-not-found', '--timeout=60s']));

  it('are accepted as they stand, and a second apply finds nothing to change', async () => {
    const input = JSON.stringify(await renderedConstraints());
    expect(await kubectl(['apply', '-f', '-'], { input })).toMatch(/ created\n$/);
    expect(await kubectl(['apply', '-f', '-'], { input })).toMatch(/ unchanged\n$/);
    const stored = await kubectlJson(['get', 'securitycontextconstraints', PRODUCT]);
    expect(stored).toMatchObject(Object(await renderedConstraints()));
  });

  it('would be refused without its empty lists', async () => {
    const { volumes: _volumes, allowedCapabilities: _allowed, ...rest } = Object(await renderedConstraints());
    const refused = await tryKubectl(['apply', '--dry-run=server', '-f', '-'], {
      input: JSON.stringify({ ...rest, metadata: { name: 'other' } }),
    });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/allowedCapabilities: Required value/);
  });

  it('are rendered by themselves where the cluster serves that API', async () => {
    const install = ['install', '--dry-run=server', '--create-namespace', '-n', 'pnc-test-openshift', PRODUCT, CHART];
    // The product is installed beside it, under the same names: taking them over is only tried.
    const { code, stdout, stderr } = await tryHelm(HELM, [...install, '--take-ownership']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
    expect(stdout).toMatch(/^kind: SecurityContextConstraints$/m);
    expect(stdout).not.toMatch(/^kind: Namespace$/m);
  });
});

describe('pods that Istio injects on its platform OpenShift', () => {
  beforeAll(() => istiodOn('PLATFORM=openshift'));
  afterAll(() => istiodOn('PLATFORM-'));

  describe.each(SHAPES)('under $constraints.name', (shape) => {
    examine(shape);
  });
});

function examine(shape: Shape): void {
  const { namespace, constraints, ranges, proxyUid, appUid } = shape;
  let client: HostSandbox;
  let server: HostSandbox;

  beforeAll(async () => {
    const annotations = { ...MESH.annotations, ...annotationsOf(ranges) };
    await createNamespace(namespace, { labels: MESH.labels, annotations });
    const injected = await Promise.all([
      injectedPod(shape, 'client', ['echo']),
      injectedPod(shape, 'server', ['ratings']),
    ]);
    const pods = injected.map((pod) => shapedBy(constraints, ranges, pod));
    for (const pod of pods) expect(refusalsOf(constraints, ranges, pod)).toEqual([]);
    // What Istio and the gate's carrier made is in the pods already.
    await kubectl(['label', 'namespace', namespace, 'istio-injection-']);
    await createPods(namespace, pods);
    await waitReady(namespace, ['client', 'server']);
    [client, server] = await Promise.all([sandboxOf(namespace, 'client'), sandboxOf(namespace, 'server')]);
  });
  afterAll(() => deleteNamespaces([namespace]));

  it('passes its gate, with rules for the uid its Envoy really has', async () => {
    const pod = await getPod(namespace, 'client');
    expect(stateOf(pod, GATE)).toBe('terminated');
    expect(textAt(pod, 'metadata', 'annotations', STATUS)).toBe('initialized');
    const { table, mark } = await capturedState(client.netnsPath);
    expect(mark).toMatch(/ ready [0-9a-f]{16}$/);
    expect(exemptUids(table)).toEqual(new Set([proxyUid]));
    expect(await uidsOf(pod)).toMatchObject({ 'istio-proxy': proxyUid, app: appUid });
  });

  it('sends through its Envoy, and is reached through its Envoy', async () => {
    const before = [await takenByEnvoy(client.netnsPath, 15_001), await takenByEnvoy(server.netnsPath, 15_006)];
    const address = textAt(await getPod(namespace, 'server'), 'status', 'podIP');
    const fetch = ['fetch', `http://${address}:9080/ratings/1`];
    const answer = JSON.parse(
      await kubectl(['exec', '-n', namespace, 'client', '-c', 'app', '--', '/bookinfo', ...fetch]),
    );
    expect(at(answer, 0, 'status')).toBe(200);
    const after = [await takenByEnvoy(client.netnsPath, 15_001), await takenByEnvoy(server.netnsPath, 15_006)];
    expect(after.map((total, index) => total - (before[index] ?? 0))).toEqual([1, 1]);
  });
}

/** As `global.platform` in the values of Istio's chart does: then Istio looks at the ranges of a Namespace. */
async function istiodOn(platform: string): Promise<void> {
  await kubectl(['set', 'env', '-n', 'istio-system', 'deployment/istiod', platform]);
  await kubectl(['rollout', 'status', '-n', 'istio-system', 'deployment/istiod', '--timeout=100s']);
}

async function renderedConstraints(): Promise<unknown> {
  const documents = parseAllDocuments(await template(['--set=platform=openshift']));
  const objects = documents.map((document): unknown => document.toJSON());
  return objects.find((object) => at(object, 'kind') === 'SecurityContextConstraints');
}

/** The pod that Istio's webhook and the carrier of the gate make; SCC looks at it only afterwards. */
async function injectedPod(
  { namespace, constraints, runAsUser }: Shape,
  name: string,
  args: readonly string[],
): Promise<unknown> {
  const securityContext = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' }, runAsUser };
  const spec = { securityContext, ...(constraints.hostUsers ? {} : { hostUsers: false }) };
  const input = JSON.stringify(appPod(name, { annotations: LISTENER_STATISTICS, args, spec }));
  return JSON.parse(await kubectl(['create', '-n', namespace, '--dry-run=server', '-o', 'json', '-f', '-'], { input }));
}

async function sandboxOf(namespace: string, name: string): Promise<HostSandbox> {
  return requireSandbox(textAt(await getPod(namespace, name), 'metadata', 'uid'));
}

/** The uids by which our rules know Envoy's own traffic. */
function exemptUids(table: string): ReadonlySet<number> {
  return new Set([...table.matchAll(/"key":"skuid"\}\},"right":(\d+)/g)].map(([, uid]) => Number(uid)));
}

/** Container → uid as the pod itself sees it. */
async function uidsOf(pod: unknown): Promise<Readonly<Record<string, number>>> {
  const running = await runningContainers(textAt(pod, 'metadata', 'uid'));
  return Object.fromEntries(
    running.map(({ name, pid }) => [name, (processStatus(pid).uids[0] ?? 0) - usersBegin(pid)]),
  );
}

/** The node's uid that is 0 inside. */
function usersBegin(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split(/\s+/)[1]);
}
