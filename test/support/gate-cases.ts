/**
 * One table for the three carriers of the gate: the pure function, the webhook, and the MutatingAdmissionPolicy on a real
 * API server. Every pod is complete enough for the API server to admit it (`--dry-run=server`).
 */
export interface GateCase {
  readonly title: string;
  readonly namespace: GateNamespace;
  readonly pod: PodManifest;
  /** Undefined: the pod must come back as it went in. */
  readonly expected: ExpectedGate | undefined;
}

/** The Namespaces the table uses; a test on an API server creates them first. Neither has Istio's injection on. */
export type GateNamespace = 'gate-plain' | 'gate-opted-in';

export const GATE_NAMESPACES: Readonly<Record<GateNamespace, Readonly<Record<string, string>>>> = {
  'gate-plain': {},
  'gate-opted-in': { 'istio-pod-network-controller/initialize': 'true' },
};

export interface PodManifest {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** What a carrier must have made of the pod. */
export interface ExpectedGate {
  readonly initContainers: readonly string[];
  /** The arguments after `--`. */
  readonly inheritedArgs: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly runAsUser: number | undefined;
  readonly runAsGroup: number | undefined;
  /** Undefined: the resources of the settings. */
  readonly resources: Readonly<Record<string, unknown>> | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

const GATE = 'istio-pod-network-controller-gate';
const ON = { 'istio-pod-network-controller/initialize': 'true' };
const OFF = { 'istio-pod-network-controller/initialize': 'false' };
const NO_INJECTION = { 'sidecar.istio.io/inject': 'false' };
const RESOLVED = [
  ...['istio-iptables', '-p', '15001', '-z', '15006', '-u', '1337', '-m', 'REDIRECT'],
  ...['-i', '*', '-x', '', '-b', '*', '-d', '15090,15021,15020', '--log_output_level=default:info'],
];
const VALIDATION = [...RESOLVED, '--run-validation', '--skip-rule-apply'];
const ISTIO_RESOURCES = {
  limits: { cpu: '2', memory: '1Gi' },
  requests: { cpu: '100m', memory: '128Mi' },
};

const istioInit: Fields = {
  name: 'istio-init',
  image: 'docker.io/istio/proxyv2:lab',
  args: RESOLVED,
  resources: ISTIO_RESOURCES,
  securityContext: {
    allowPrivilegeEscalation: false,
    privileged: false,
    capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
    readOnlyRootFilesystem: false,
    runAsGroup: 0,
    runAsUser: 0,
    runAsNonRoot: false,
  },
};

const istioValidation: Fields = {
  name: 'istio-validation',
  image: 'docker.io/istio/proxyv2:lab',
  args: VALIDATION,
  resources: ISTIO_RESOURCES,
  securityContext: {
    allowPrivilegeEscalation: false,
    privileged: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    runAsGroup: 1337,
    runAsUser: 1337,
    runAsNonRoot: true,
  },
};

const proxy: Fields = { name: 'istio-proxy', image: 'docker.io/istio/proxyv2:lab', args: ['proxy', 'sidecar'] };
const nativeProxy: Fields = { ...proxy, restartPolicy: 'Always' };
const userInit: Fields = { name: 'migrate', image: 'docker.io/example/app:1' };
const app: Fields = { name: 'app', image: 'docker.io/example/app:1' };
const fromIstioInit: ExpectedGate = {
  initContainers: [GATE, 'istio-proxy'],
  inheritedArgs: RESOLVED,
  env: [],
  runAsUser: undefined,
  runAsGroup: undefined,
  resources: ISTIO_RESOURCES,
};
const stock = { initContainers: [istioInit, nativeProxy], containers: [app] };

export const GATE_CASES: readonly GateCase[] = [
  gated('istio-init with a native sidecar', { annotations: ON }, stock, fromIstioInit),
  gated(
    'istio-init last, with a classic sidecar and an init container of the user',
    { annotations: ON },
    { initContainers: [userInit, istioInit], containers: [app, proxy] },
    { ...fromIstioInit, initContainers: [GATE, 'migrate'] },
  ),
  gated(
    'istio-validation keeps its uid and gid',
    { annotations: ON },
    { initContainers: [istioValidation, nativeProxy, userInit], containers: [app] },
    {
      ...fromIstioInit,
      initContainers: [GATE, 'istio-proxy', 'migrate'],
      inheritedArgs: VALIDATION,
      runAsUser: 1337,
      runAsGroup: 1337,
    },
  ),
  gated(
    'literal env is kept, valueFrom is not',
    { annotations: ON },
    { ...stock, initContainers: [withEnv(istioInit), nativeProxy] },
    { ...fromIstioInit, env: [{ name: 'ISTIO_META_DNS_CAPTURE', value: 'true' }] },
  ),
  gated(
    'no resources named: those of the settings',
    { annotations: ON },
    { ...stock, initContainers: [{ ...istioInit, resources: {} }, nativeProxy] },
    { ...fromIstioInit, resources: undefined },
  ),
  gated('the Namespace asks', {}, stock, fromIstioInit, 'gate-opted-in'),
  gated(
    'a value that is neither true nor false follows the Namespace',
    { annotations: { 'istio-pod-network-controller/initialize': 'yes' } },
    stock,
    fromIstioInit,
    'gate-opted-in',
  ),
  gated(
    'istio-init injected again beside a gate',
    { annotations: ON },
    { ...stock, initContainers: [istioInit, { name: GATE, image: 'docker.io/example/old:1' }, nativeProxy] },
    fromIstioInit,
  ),
  untouched('nobody asks', {}, stock),
  untouched('the pod says no where its Namespace says yes', { annotations: OFF }, stock, 'gate-opted-in'),
  untouched('no Istio at all', { annotations: ON }, { containers: [app] }),
  untouched(
    'the gate is there already',
    { annotations: ON },
    { initContainers: [{ name: GATE, image: 'docker.io/example/gate:1' }, nativeProxy], containers: [app] },
  ),
  untouched('host network', { annotations: ON }, { ...stock, hostNetwork: true }),
  untouched('label sidecar.istio.io/inject: "false"', { annotations: ON, labels: NO_INJECTION }, stock),
  untouched('annotation sidecar.istio.io/inject: "false"', { annotations: { ...ON, ...NO_INJECTION } }, stock),
  gated(
    'label sidecar.istio.io/inject: "true" before an annotation that says "false"',
    { annotations: { ...ON, ...NO_INJECTION }, labels: { 'sidecar.istio.io/inject': 'true' } },
    stock,
    fromIstioInit,
  ),
  untouched('OpenShift build', { annotations: { ...ON, 'openshift.io/build.name': 'build-1' } }, stock),
  untouched('OpenShift deployer', { annotations: { ...ON, 'openshift.io/deployer-pod-for.name': 'app-1' } }, stock),
  untouched('no proxy container', { annotations: ON }, { initContainers: [istioInit], containers: [app] }),
  untouched(
    'a gateway, not a sidecar',
    { annotations: ON },
    { initContainers: [istioInit], containers: [{ ...proxy, args: ['proxy', 'router'] }] },
  ),
  untouched(
    'Envoy disabled',
    { annotations: ON },
    { initContainers: [istioInit], containers: [app, { ...proxy, env: [{ name: 'DISABLE_ENVOY', value: 'true' }] }] },
  ),
];

function gated(
  title: string,
  metadata: Fields,
  spec: Fields,
  expected: ExpectedGate,
  namespace: GateNamespace = 'gate-plain',
): GateCase {
  return { title, namespace, pod: manifest(title, metadata, spec), expected };
}

function untouched(title: string, metadata: Fields, spec: Fields, namespace: GateNamespace = 'gate-plain'): GateCase {
  return { title, namespace, pod: manifest(title, metadata, spec), expected: undefined };
}

function manifest(title: string, metadata: Fields, spec: Fields): PodManifest {
  const name = title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 60);
  // Without it the API server would give every pod a volume of random name, and two answers could not be compared.
  const automountServiceAccountToken = false;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name },
    spec: { ...spec, automountServiceAccountToken },
  };
}

function withEnv(container: Fields): Fields {
  const podName = { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } };
  return { ...container, env: [{ name: 'ISTIO_META_DNS_CAPTURE', value: 'true' }, podName] };
}
