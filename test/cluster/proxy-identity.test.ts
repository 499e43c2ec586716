import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ARGUMENTS_ANNOTATION } from '../../src/capture/carried-arguments.ts';
import { PRODUCT } from '../support/chart.ts';
import { applyPolicies, removePolicies, waitRefused } from '../support/cluster-policy.ts';
import { appPod, container, handMadeGate, standInSidecar } from '../support/cluster-pods.ts';
import { clusterAdmin, ask } from '../support/cluster-tokens.ts';
import { createNamespace, deleteNamespaces, INITIALIZE } from '../support/cluster.ts';

/** What counts as the sidecar's identity, and whose containers are looked at. Nothing is created: the API server is only asked. */
const NAMESPACE = 'pnc-test-identity';
const ASIDE = 'pnc-test-identity-aside';

interface Shape {
  /** Of the pod. */
  readonly pod?: object;
  /** Of the application's container. */
  readonly app?: object;
  readonly sidecar?: object;
  /** What Istio resolved, as the gate carries it. */
  readonly istio?: readonly string[];
  readonly gate?: object;
  readonly annotations?: Readonly<Record<string, string>>;
  /** One more init container of the application. */
  readonly init?: object;
}

const OPENSHIFT = 1_000_689_999;
const USERS = 'pod-network-controller.istio.io/envoy-userid';
const GROUPS = 'pod-network-controller.istio.io/envoy-groupid';

const carried = (fields: object) => ({
  [ARGUMENTS_ANNOTATION]: JSON.stringify({ args: ['istio-iptables'], env: [], ...fields }),
});

const REFUSED: readonly (readonly [string, Shape])[] = [
  ["the container's uid", { app: { runAsUser: 1337 } }],
  ["the container's gid", { app: { runAsGroup: 1337 } }],
  ["the pod's uid, which the container inherits", { pod: { runAsUser: 1337 } }],
  ["the pod's gid, which the container inherits", { pod: { runAsGroup: 1337 } }],
  ["OpenShift's uid of the sidecar", { sidecar: { runAsUser: OPENSHIFT }, app: { runAsUser: OPENSHIFT } }],
  ['a uid of the resolved arguments', { istio: ['-u', '1337, 2000'], app: { runAsUser: 2000 } }],
  ['… in the long form', { istio: ['--proxy-uid=2000'], app: { runAsUser: 2000 } }],
  ['… written together', { istio: ['-u2000'], app: { runAsUser: 2000 } }],
  ['… the second of two', { istio: ['-u', '1337', '-u', '2000'], app: { runAsUser: 2000 } }],
  ['a gid of the resolved arguments', { istio: ['-g', '2000'], app: { runAsGroup: 2000 } }],
  ['a variable of the gate', { gate: { env: [{ name: 'PROXY_UID', value: '2000' }] }, app: { runAsUser: 2000 } }],
  [
    'a uid that a pod without a gate carries',
    { annotations: carried({ args: ['istio-iptables', '-u', '1337,2000'] }), app: { runAsUser: 2000 } },
  ],
  [
    'a gid that a pod without a gate carries in a variable',
    { annotations: carried({ env: [{ name: 'PROXY_GID', value: '2000' }] }), app: { runAsGroup: 2000 } },
  ],
  ['the override of the uid', { annotations: { [USERS]: '1337, 1000' } }],
  ['the override of the gid', { annotations: { [GROUPS]: '3000' }, app: { runAsGroup: 3000 } }],
  ['root as the sidecar (TPROXY), which counts as 1337', { sidecar: { runAsUser: 0 }, app: { runAsUser: 1337 } }],
  ['an init container', { init: { runAsUser: 1337 } }],
];

const ADMITTED: readonly (readonly [string, Shape])[] = [
  ['ids of its own', { app: { runAsUser: 1000, runAsGroup: 1000 } }],
  ["the pod's uid is the sidecar's, the container's is not", { pod: { runAsUser: 1337 }, app: { runAsUser: 1000 } }],
  [
    '1337 where the sidecar is another',
    { sidecar: { runAsUser: OPENSHIFT, runAsGroup: OPENSHIFT }, app: { runAsUser: 1337 } },
  ],
  [
    'root beside a sidecar that is root (TPROXY)',
    { sidecar: { runAsUser: 0, runAsGroup: 1337 }, app: { runAsUser: 0 } },
  ],
  ['a longer number that begins with it', { app: { runAsUser: 13_370 } }],
  ['supplementary groups', { pod: { fsGroup: 1337, supplementalGroups: [1337] } }],
  ['a pod that stays out', { annotations: { [INITIALIZE]: 'false' }, app: { runAsUser: 1337 } }],
];

beforeAll(async () => {
  await applyPolicies(['proxy-identity']);
  await createNamespace(NAMESPACE, { annotations: { [INITIALIZE]: 'true' } });
  await createNamespace(ASIDE);
  const create = ['create', '-n', NAMESPACE, '--dry-run=server', '-f', '-'];
  await waitRefused(`${PRODUCT}-proxy-identity`, create, await podOf({ app: { runAsUser: 1337 } }));
});
afterAll(async () => {
  await removePolicies(['proxy-identity']);
  await deleteNamespaces([NAMESPACE, ASIDE]);
});

describe('a mesh pod', () => {
  it.each(REFUSED)('is refused for %s', async (_, shape) => {
    const { status, message } = await create(NAMESPACE, shape);
    expect(message).toMatch(/-proxy-identity'.*container (app|own-init) would run with the uid or gid of the sidecar/s);
    expect(status).toBe(403);
  });

  it.each(ADMITTED)('is admitted with %s', async (_, shape) => {
    const { status, message } = await create(NAMESPACE, shape);
    expect(status, message).toBe(201);
  });
});

describe('a pod that nobody opted in', () => {
  it('is not looked at', async () => {
    const { status, message } = await create(ASIDE, { app: { runAsUser: 1337 } });
    expect(status, message).toBe(201);
  });
});

async function create(namespace: string, shape: Shape): ReturnType<typeof ask> {
  return ask(clusterAdmin(), { path: `/api/v1/namespaces/${namespace}/pods?dryRun=All`, body: await podOf(shape) });
}

async function podOf({
  pod = {},
  app = {},
  sidecar = {},
  istio = [],
  gate = {},
  annotations = {},
  init,
}: Shape): Promise<object> {
  const proxy = { ...standInSidecar(), securityContext: { runAsUser: 1337, runAsGroup: 1337, ...sidecar } };
  const own = init === undefined ? [] : [container('own-init', [], { securityContext: init })];
  const gateArgs = istio.length === 0 ? [] : ['--', 'istio-iptables', ...istio];
  return appPod('shape', {
    annotations,
    initContainers: [await handMadeGate(gateArgs, gate), proxy, ...own],
    spec: {
      securityContext: { runAsUser: 1000, ...pod },
      containers: [container('app', [], { securityContext: app })],
    },
  });
}
