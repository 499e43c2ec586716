import { network } from '../../lab/paths.ts';
import { capturedState, requireSandbox } from './cluster-host.ts';
import { PRODUCT } from './chart.ts';
import { applyPolicies, waitRefused } from './cluster-policy.ts';
import {
  AGENT_NAMESPACE,
  appPod,
  container,
  createPods,
  getPod,
  handMadeGate,
  standInSidecar,
  waitReady,
  waitStarted,
} from './cluster-pods.ts';
import { clusterAdmin, type Identity, kubeletOf, ownKubelet, tokenOf } from './cluster-tokens.ts';
import {
  at,
  createNamespace,
  deleteNamespaces,
  GATE,
  INITIALIZE,
  kubectl,
  kubectlJson,
  MESH,
  STATUS,
  textAt,
  waitFor,
} from './cluster.ts';

/** Where the victims are: opted in, Istio injects, Pod Security restricted. */
export const ATTACKED = 'pnc-test-attack';
/** As above, but no Pod Security: what it would refuse can be tried here. */
export const LENIENT = 'pnc-test-lenient';
/** Opted in and restricted, but Istio does not inject: pods are written by hand. */
export const BY_HAND = 'pnc-test-by-hand';
/** A node that has no kubelet. It exists in the API only. */
export const OTHER_NODE = 'pnc-test-other-node';
export const AGENT_ELSEWHERE = 'pnc-test-agent-elsewhere';
export const AGENT_USER = `system:serviceaccount:${AGENT_NAMESPACE}:${PRODUCT}`;
export const NODE_EXTRA = 'authentication.kubernetes.io/node-name';

/** Who attacks, each with real credentials. */
export interface Cast {
  /** Bound to the agent's pod on the lab's node, as kubelet mounts it. */
  readonly agent: Identity;
  /** Bound to a pod of the agent's ServiceAccount on another node. */
  readonly agentElsewhere: Identity;
  /** `kubectl create token`. */
  readonly agentUnbound: Identity;
  /** ClusterRole edit in the victims' Namespaces. */
  readonly author: Identity;
  /** ClusterRole admin there. */
  readonly namespaceAdmin: Identity;
  /** May bind pods to nodes. */
  readonly scheduler: Identity;
  /** May impersonate users and what their tokens say. */
  readonly impersonator: Identity;
  /** May impersonate users, not what their tokens say. */
  readonly pretender: Identity;
  readonly kubelet: Identity;
  readonly kubeletElsewhere: Identity;
  readonly clusterAdmin: Identity;
}

const SERVICE_ACCOUNTS = ['author', 'namespace-admin', 'scheduler', 'impersonator', 'pretender'] as const;

/** Namespaces, victims and credentials. The agent's ServiceAccount may edit in LENIENT, so that there only the policies stand in its way. */
export async function raiseStage(agentPod: { readonly name: string; readonly uid: string }): Promise<Cast> {
  await applyPolicies(['agent', 'annotations', 'proxy-identity']);
  await createNamespace(ATTACKED, MESH);
  await createNamespace(LENIENT, { labels: { 'istio-injection': 'enabled' }, annotations: { [INITIALIZE]: 'true' } });
  await createNamespace(BY_HAND, {
    labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
    annotations: { [INITIALIZE]: 'true' },
  });
  await policiesAct();
  // Not `apply`: these are in several Namespaces.
  const items = [...otherNode(), ...accounts()];
  await kubectl(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  await createVictims();
  const elsewhere = await getPod(AGENT_NAMESPACE, AGENT_ELSEWHERE);
  const account = (name: (typeof SERVICE_ACCOUNTS)[number]) => tokenOf(ATTACKED, name);
  return {
    agent: await tokenOf(AGENT_NAMESPACE, PRODUCT, { kind: 'Pod', ...agentPod }),
    agentElsewhere: await tokenOf(AGENT_NAMESPACE, PRODUCT, {
      kind: 'Pod',
      name: AGENT_ELSEWHERE,
      uid: textAt(elsewhere, 'metadata', 'uid'),
    }),
    agentUnbound: await tokenOf(AGENT_NAMESPACE, PRODUCT),
    author: await account('author'),
    namespaceAdmin: await account('namespace-admin'),
    scheduler: await account('scheduler'),
    impersonator: await account('impersonator'),
    pretender: await account('pretender'),
    kubelet: ownKubelet(),
    kubeletElsewhere: await kubeletOf(OTHER_NODE),
    clusterAdmin: clusterAdmin(),
  };
}

/** Pods of a node without kubelet end only by force. */
export async function strikeStage(): Promise<void> {
  const force = ['--ignore-not-found', '--force', '--grace-period=0', '--wait=false'];
  await kubectl(['delete', 'pod', '-n', ATTACKED, 'far', ...force]);
  await kubectl(['delete', 'pod', '-n', AGENT_NAMESPACE, AGENT_ELSEWHERE, ...force]);
  await kubectl(['delete', 'node', OTHER_NODE, '--ignore-not-found']);
  await kubectl([
    'delete',
    'clusterrole,clusterrolebinding',
    '--ignore-not-found',
    'pnc-test-impersonator',
    'pnc-test-pretender',
  ]);
  await deleteNamespaces([ATTACKED, LENIENT, BY_HAND]);
}

/** Everything an attack could change, as text: pods without what kubelet and the API server keep in them, rules and mark of the victim. */
export async function stateOfStage(): Promise<string> {
  const pods = await kubectlJson(['get', 'pods', '-A', '--field-selector', 'metadata.namespace!=kube-system']);
  const victim = await requireSandbox(textAt(await getPod(ATTACKED, 'victim'), 'metadata', 'uid'));
  return JSON.stringify({ pods: strip(pods), kernel: await capturedState(victim.netnsPath) }, null, 1);
}

const NOT_THEIRS = new Set(['status', 'managedFields', 'resourceVersion', 'generation']);

function strip(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (key, inner: unknown) => (NOT_THEIRS.has(key) ? undefined : inner));
}

/** The product's image has Node and nft: a well-equipped attacker. */
export function attackerContainer(name: string, image: string, securityContext: object = {}): object {
  const program = { image, command: ['/usr/local/bin/node', '-e', 'setInterval(() => {}, 1e6)'], args: [] };
  return container(name, [], {
    ...program,
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
      ...securityContext,
    },
  });
}

async function createVictims(): Promise<void> {
  const gate = await handMadeGate([]);
  const image = textAt(gate, 'image');
  await createPods(ATTACKED, [
    appPod('victim', { containers: [attackerContainer('attacker', image)] }),
    appPod('far', { spec: { nodeName: OTHER_NODE } }),
    appPod('unbound', { spec: { schedulerName: 'nobody' } }),
  ]);
  await createPods(BY_HAND, [
    // Its capture policy cannot be read: the agent marks it as refused, and it stays at its gate.
    appPod('waiting', {
      annotations: { 'traffic.sidecar.istio.io/excludeOutboundPorts': 'https' },
      initContainers: [gate, standInSidecar()],
    }),
  ]);
  const asRoot = { runAsUser: 0, runAsNonRoot: false, allowPrivilegeEscalation: true, capabilities: {} };
  await createPods(LENIENT, [
    appPod('root', { spec: { securityContext: {} }, containers: [attackerContainer('attacker', image, asRoot)] }),
    appPod('own-users', {
      spec: { hostUsers: false, securityContext: {} },
      containers: [
        attackerContainer('attacker', image, asRoot),
        attackerContainer('net-admin', image, { ...asRoot, capabilities: { add: ['NET_ADMIN'] } }),
      ],
    }),
  ]);
  await waitReady(ATTACKED, ['victim']);
  await waitReady(LENIENT, ['root', 'own-users']);
  await waitStarted(BY_HAND, 'waiting', GATE);
  await waitFor(
    'the waiting pod is told about',
    async () => at(await getPod(BY_HAND, 'waiting'), 'metadata', 'annotations', STATUS) === 'failed',
    {
      timeoutMs: 30_000,
    },
  );
}

async function policiesAct(): Promise<void> {
  const create = ['create', '-n', BY_HAND, '--dry-run=server', '-f', '-'];
  const initContainers = [await handMadeGate([]), standInSidecar()];
  const preset = appPod('probe', { annotations: { [STATUS]: 'initialized' }, initContainers });
  await waitRefused(`${PRODUCT}-annotations`, create, preset);
  const securityContext = { runAsNonRoot: true, runAsUser: 1337, seccompProfile: { type: 'RuntimeDefault' } };
  const disguised = appPod('probe', { initContainers, spec: { securityContext } });
  await waitRefused(`${PRODUCT}-proxy-identity`, create, disguised);
}

function otherNode(): readonly object[] {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: AGENT_ELSEWHERE, namespace: AGENT_NAMESPACE },
    spec: { serviceAccountName: PRODUCT, nodeName: OTHER_NODE, containers: [container('agent', [])] },
  };
  // Without the label kubernetes.io/os: the DaemonSet of the agent does not want it.
  return [{ apiVersion: 'v1', kind: 'Node', metadata: { name: OTHER_NODE } }, pod];
}

function accounts(): readonly object[] {
  const rbac = 'rbac.authorization.k8s.io/v1';
  const subject = (name: string, namespace = ATTACKED) => [{ kind: 'ServiceAccount', name, namespace }];
  const bind = (namespace: string, name: string, role: object, subjects: readonly object[]) => ({
    apiVersion: rbac,
    kind: 'RoleBinding',
    metadata: { namespace, name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', ...role },
    subjects,
  });
  const clusterRole = (name: string) => ({ kind: 'ClusterRole', name });
  const impersonate = [
    { apiGroups: [''], resources: ['serviceaccounts'], resourceNames: [PRODUCT], verbs: ['impersonate'] },
  ];
  const extras = [
    { apiGroups: ['authentication.k8s.io'], resources: [`userextras/${NODE_EXTRA}`], verbs: ['impersonate'] },
  ];
  const clusterWide = (name: string, rules: readonly object[]) => [
    { apiVersion: rbac, kind: 'ClusterRole', metadata: { name: `pnc-test-${name}` }, rules },
    {
      apiVersion: rbac,
      kind: 'ClusterRoleBinding',
      metadata: { name: `pnc-test-${name}` },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', ...clusterRole(`pnc-test-${name}`) },
      subjects: subject(name),
    },
  ];
  return [
    ...SERVICE_ACCOUNTS.map((name) => ({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name, namespace: ATTACKED },
    })),
    bind(ATTACKED, 'author', clusterRole('edit'), subject('author')),
    bind(BY_HAND, 'author', clusterRole('edit'), subject('author')),
    bind(LENIENT, 'author', clusterRole('edit'), subject('author')),
    bind(ATTACKED, 'namespace-admin', clusterRole('admin'), subject('namespace-admin')),
    {
      apiVersion: rbac,
      kind: 'Role',
      metadata: { namespace: ATTACKED, name: 'scheduler' },
      rules: [{ apiGroups: [''], resources: ['bindings', 'pods/binding'], verbs: ['create'] }],
    },
    bind(ATTACKED, 'scheduler', { kind: 'Role', name: 'scheduler' }, subject('scheduler')),
    bind(LENIENT, 'agent', clusterRole('edit'), subject(PRODUCT, AGENT_NAMESPACE)),
    ...clusterWide('impersonator', [...impersonate, ...extras]),
    ...clusterWide('pretender', impersonate),
  ];
}

/** A path of the core API in one of the Namespaces. */
export function podPath(namespace: string, name: string, subresource = ''): string {
  return `/api/v1/namespaces/${namespace}/pods/${name}${subresource === '' ? '' : `/${subresource}`}`;
}

export const OWN_NODE = network.nodeName;

/** A mesh pod with a gate. */
export async function handMade(name: string, options: Parameters<typeof appPod>[1]): Promise<object> {
  return appPod(name, { initContainers: [await handMadeGate([]), standInSidecar()], ...options });
}
