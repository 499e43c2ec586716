import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';

const checkout = resolve(import.meta.dirname, '../..');
/** Where the chart puts the agent. */
export const AGENT = 'istio-pod-network-controller';
/** Of pods that were started while somebody looked, by the round in which they were. */
export const CHURN_LABEL = 'scale/churn';
/** Of a Namespace: changes of it are followed to every agent. */
export const MARKER_ANNOTATION = 'scale/marker';

/** One object to be created. */
export interface Creation {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export const nodeName = (node: number): string => `node-${String(node).padStart(5, '0')}`;
export const namespaceName = (namespace: number): string => `team-${String(namespace).padStart(3, '0')}`;

/** The chart as it is rendered by default, without what would run or call: identity, rights and admission policies of the agent. */
export function chartObjects(): Creation[] {
  const text = readFileSync(join(checkout, 'test/chart/golden/default.yaml'), 'utf8');
  return parseAllDocuments(text)
    .map((document): unknown => document.toJS())
    .filter(isObject)
    .flatMap((body) => {
      const path = PATHS[body.kind];
      return path === undefined ? [] : [{ path, body: { ...body } }];
    });
}

/** A Namespace with the ServiceAccount that no controller makes here. */
export function namespaceObjects(namespace: number): Creation[] {
  const name = namespaceName(namespace);
  const labels = { 'istio-injection': 'enabled', team: name };
  return [
    { path: '/api/v1/namespaces', body: { metadata: { name, labels } } },
    { path: `/api/v1/namespaces/${name}/serviceaccounts`, body: { metadata: { name: 'default' } } },
  ];
}

export function nodeObject(node: number): Creation {
  const labels = { 'kubernetes.io/os': 'linux', 'kubernetes.io/hostname': nodeName(node) };
  return { path: '/api/v1/nodes', body: { metadata: { name: nodeName(node), labels } } };
}

/** The agent's own pod of a node: its token is bound to it, and so names the node. */
export function agentPod(node: number): Creation {
  const container = { name: 'agent', image: 'agent.example/agent:0', args: ['run'] };
  return {
    path: `/api/v1/namespaces/${AGENT}/pods`,
    body: {
      metadata: { name: `agent-${nodeName(node)}`, labels: { app: AGENT } },
      spec: { nodeName: nodeName(node), serviceAccountName: AGENT, containers: [container] },
    },
  };
}

export function meshPod(wanted: {
  readonly name: string;
  readonly node: number;
  readonly namespace: number;
  readonly labels?: Readonly<Record<string, string>>;
}): Creation {
  const namespace = namespaceName(wanted.namespace);
  const { metadata, spec } = EXAMPLE;
  return {
    path: `/api/v1/namespaces/${namespace}/pods`,
    body: {
      metadata: {
        name: wanted.name,
        labels: { ...metadata.labels, ...wanted.labels },
        annotations: metadata.annotations,
      },
      spec: { ...spec, nodeName: nodeName(wanted.node) },
    },
  };
}

interface ExamplePod {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly initContainers: readonly { readonly name: string; readonly env?: readonly object[] }[] };
}

function grown({ metadata, spec }: ExamplePod): ExamplePod {
  const volumes = VOLUMES.map((name) => ({ name, emptyDir: { medium: 'Memory' } }));
  const volumeMounts = VOLUMES.map((name) => ({ name, mountPath: `/var/run/secrets/scale/${name}` }));
  const initContainers = spec.initContainers.map((container) =>
    container.name === 'istio-proxy'
      ? { ...container, env: [...(container.env ?? []), ...ENVIRONMENT], volumeMounts }
      : container,
  );
  return { metadata, spec: { ...spec, initContainers, ...{ volumes } } };
}

const VOLUMES = [
  'workload-socket',
  'credential-socket',
  'workload-certs',
  'istio-envoy',
  'istio-data',
  'istio-podinfo',
  'istio-token',
  'istiod-ca-cert',
];
const fieldRef = (fieldPath: string) => ({ fieldRef: { fieldPath } });
const ENVIRONMENT = [
  { name: 'PILOT_CERT_PROVIDER', value: 'istiod' },
  { name: 'CA_ADDR', value: 'istiod.istio-system.svc:15012' },
  { name: 'POD_NAME', valueFrom: fieldRef('metadata.name') },
  { name: 'INSTANCE_IP', valueFrom: fieldRef('status.podIP') },
  { name: 'SERVICE_ACCOUNT', valueFrom: fieldRef('spec.serviceAccountName') },
  { name: 'HOST_IP', valueFrom: fieldRef('status.hostIP') },
  { name: 'PROXY_CONFIG', value: '{}' },
  { name: 'ISTIO_META_POD_PORTS', value: '[{"containerPort":9080,"protocol":"TCP"}]' },
  { name: 'ISTIO_META_APP_CONTAINERS', value: 'ratings' },
  { name: 'ISTIO_META_CLUSTER_ID', value: 'Kubernetes' },
  { name: 'ISTIO_META_NODE_NAME', valueFrom: fieldRef('spec.nodeName') },
  { name: 'ISTIO_META_INTERCEPTION_MODE', value: 'REDIRECT' },
  { name: 'ISTIO_META_WORKLOAD_NAME', value: 'ratings-v1' },
  { name: 'ISTIO_META_OWNER', value: 'kubernetes://apis/apps/v1/namespaces/bookinfo/deployments/ratings-v1' },
  { name: 'ISTIO_META_MESH_ID', value: 'cluster.local' },
  { name: 'TRUST_DOMAIN', value: 'cluster.local' },
];

/** An injected pod with our gate, the one that people are shown; its proxy gets the environment and volumes of Istio's template, which are most of a real one's size. */
const EXAMPLE = grown(parse(readFileSync(join(checkout, 'examples/pod.yaml'), 'utf8')) as ExamplePod);

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
const PATHS: Readonly<Record<string, string>> = {
  Namespace: '/api/v1/namespaces',
  ServiceAccount: `/api/v1/namespaces/${AGENT}/serviceaccounts`,
  ClusterRole: `${RBAC}/clusterroles`,
  ClusterRoleBinding: `${RBAC}/clusterrolebindings`,
  ValidatingAdmissionPolicy: `${ADMISSION}/validatingadmissionpolicies`,
  ValidatingAdmissionPolicyBinding: `${ADMISSION}/validatingadmissionpolicybindings`,
};

function isObject(value: unknown): value is { readonly kind: string } {
  return typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string';
}
