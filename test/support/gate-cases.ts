import {
  app,
  CONFIG_ENV,
  FIELD_ENV,
  type Fields,
  GATE,
  ISTIO_RESOURCES,
  istioInit,
  istioValidation,
  LITERAL_ENV,
  nativeProxy,
  OPENSHIFT_UID,
  OPENSHIFT_VALIDATION,
  openShiftValidation,
  proxy,
  RESOLVED,
  RESOLVED_TPROXY,
  secondInit,
  stock,
  userInit,
  VALIDATION,
  writtenGate,
} from './gate-containers.ts';

/**
 * One table of pod shapes for all that puts gates into pods: the pure function, its CEL, and the MutatingAdmissionPolicy on a real API
 * server. Every pod is complete enough for the API server to admit it (`--dry-run=server`), unless `running` says it exists already.
 */
export interface GateCase {
  readonly title: string;
  readonly namespace: GateNamespace;
  readonly pod: PodManifest;
  /** Undefined: the pod must come back as it went in. */
  readonly expected: ExpectedGate | undefined;
  /** A pod as a running one is read, which nobody can create that way. */
  readonly running: boolean;
}

/** The Namespaces the table uses; a test on an API server creates them first. None has Istio's injection on. */
export type GateNamespace = 'gate-plain' | 'gate-opted-in' | 'gate-opted-out' | 'gate-unclear';

const INITIALIZE = 'istio-pod-network-controller/initialize';

export const GATE_NAMESPACES: Readonly<Record<GateNamespace, Readonly<Record<string, string>>>> = {
  'gate-plain': {},
  'gate-opted-in': { [INITIALIZE]: 'true' },
  'gate-opted-out': { [INITIALIZE]: 'false' },
  'gate-unclear': { [INITIALIZE]: 'maybe' },
};

export interface PodManifest {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: Fields & { readonly name: string };
  readonly spec: Fields;
}

/** What must have been made of the pod. */
export interface ExpectedGate {
  readonly initContainers: readonly string[];
  /** The arguments after `--`. */
  readonly inheritedArgs: readonly string[];
  readonly env: readonly Fields[];
  readonly runAsUser: number | undefined;
  readonly runAsGroup: number | undefined;
  /** Undefined: the resources of the settings. */
  readonly resources: Fields | undefined;
  /** A gate that was there and only had to move; then nothing above but the order counts. */
  readonly moved?: Fields;
}

const ON = { annotations: { [INITIALIZE]: 'true' } };
const OFF = { annotations: { [INITIALIZE]: 'false' } };
const UNCLEAR = { annotations: { [INITIALIZE]: 'yes' } };
const NO_INJECTION = { 'sidecar.istio.io/inject': 'false' };

const fromInit: ExpectedGate = {
  initContainers: [GATE, 'istio-proxy'],
  inheritedArgs: RESOLVED,
  env: [],
  runAsUser: undefined,
  runAsGroup: undefined,
  resources: ISTIO_RESOURCES,
};
const fromValidation: ExpectedGate = { ...fromInit, inheritedArgs: VALIDATION, runAsUser: 1337, runAsGroup: 1337 };

/** Pods that get a gate, or whose gate moves. */
const GATED: readonly GateCase[] = [
  gated('istio-init with a native sidecar', ON, stock, fromInit),
  gated(
    'istio-init last, with a classic sidecar and an init container of the user',
    ON,
    { initContainers: [userInit, istioInit], containers: [app, proxy] },
    { ...fromInit, initContainers: [GATE, 'migrate'] },
  ),
  // The API server of 1.36.3 panics when a policy replaces a list by a plain list of one Object literal.
  gated(
    'istio-init alone, with a classic sidecar',
    ON,
    { initContainers: [istioInit], containers: [app, proxy] },
    { ...fromInit, initContainers: [GATE] },
  ),
  gated(
    'istio-validation keeps its uid and gid',
    ON,
    { initContainers: [istioValidation, nativeProxy, userInit], containers: [app] },
    { ...fromValidation, initContainers: [GATE, 'istio-proxy', 'migrate'] },
  ),
  gated(
    "istio-validation between the user's init containers",
    ON,
    { initContainers: [userInit, istioValidation, secondInit], containers: [app, proxy] },
    { ...fromValidation, initContainers: [GATE, 'migrate', 'warm-up'] },
  ),
  gated(
    'istio-validation and istio-init: the first hands down',
    ON,
    { initContainers: [istioValidation, nativeProxy, istioInit], containers: [app] },
    fromValidation,
  ),
  gated(
    'istio-validation with a uid of the range of an OpenShift namespace',
    ON,
    {
      initContainers: [openShiftValidation, nativeProxy],
      containers: [app],
      securityContext: { fsGroup: 1_000_680_000 },
    },
    {
      ...fromValidation,
      inheritedArgs: OPENSHIFT_VALIDATION,
      runAsUser: OPENSHIFT_UID,
      runAsGroup: OPENSHIFT_UID,
    },
  ),
  gated(
    'TPROXY',
    { annotations: { ...ON.annotations, 'sidecar.istio.io/interceptionMode': 'TPROXY' } },
    { ...stock, initContainers: [{ ...istioInit, args: RESOLVED_TPROXY }, nativeProxy] },
    { ...fromInit, inheritedArgs: RESOLVED_TPROXY },
  ),
  gated(
    'injected by another revision',
    {
      labels: { 'istio.io/rev': 'canary' },
      annotations: { ...ON.annotations, 'istio.io/rev': 'canary', 'sidecar.istio.io/status': '{"revision":"canary"}' },
    },
    stock,
    fromInit,
  ),
  gated(
    'env is kept, also where it says where the value comes from',
    ON,
    { ...stock, initContainers: [{ ...istioInit, env: [LITERAL_ENV, FIELD_ENV, CONFIG_ENV] }, nativeProxy] },
    { ...fromInit, env: [LITERAL_ENV, FIELD_ENV, CONFIG_ENV] },
  ),
  gated(
    'no resources named: those of the settings',
    ON,
    { ...stock, initContainers: [{ ...istioInit, resources: {} }, nativeProxy] },
    { ...fromInit, resources: undefined },
  ),
  gated(
    'a security context of the whole pod',
    ON,
    {
      ...stock,
      securityContext: {
        runAsUser: 1000,
        runAsGroup: 3000,
        fsGroup: 2000,
        supplementalGroups: [4000],
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      },
    },
    fromInit,
  ),
  gated('a pod of a Job, which never restarts', ON, { ...stock, restartPolicy: 'Never' }, fromInit),
  gated('a pod in a user namespace of its own', ON, { ...stock, hostUsers: false }, fromInit),
  gated('the Namespace asks', {}, stock, fromInit, 'gate-opted-in'),
  gated('the pod asks where its Namespace says no', ON, stock, fromInit, 'gate-opted-out'),
  gated('the pod asks where its Namespace is unclear', ON, stock, fromInit, 'gate-unclear'),
  gated('an unclear pod follows its Namespace', UNCLEAR, stock, fromInit, 'gate-opted-in'),
  gated(
    'istio-init injected again beside a gate',
    ON,
    { ...stock, initContainers: [istioInit, writtenGate, nativeProxy] },
    fromInit,
  ),
  gated(
    'a gate that is there, and not the first',
    ON,
    { initContainers: [userInit, writtenGate, nativeProxy], containers: [app] },
    { ...fromInit, initContainers: [GATE, 'migrate', 'istio-proxy'], moved: writtenGate },
  ),
  gated(
    'label sidecar.istio.io/inject: "true" before an annotation that says "false"',
    { annotations: { ...ON.annotations, ...NO_INJECTION }, labels: { 'sidecar.istio.io/inject': 'true' } },
    stock,
    fromInit,
  ),
  running(
    gated(
      'a running pod with an ephemeral container',
      ON,
      { ...stock, ephemeralContainers: [{ name: 'debug', image: 'docker.io/example/debug:1' }] },
      fromInit,
    ),
  ),
];

const UNTOUCHED: readonly GateCase[] = [
  untouched('nobody asks', {}, stock),
  untouched('the pod says no where its Namespace says yes', OFF, stock, 'gate-opted-in'),
  untouched('the Namespace says no', {}, stock, 'gate-opted-out'),
  untouched('the Namespace is unclear', {}, stock, 'gate-unclear'),
  untouched('an unclear pod where its Namespace says nothing', UNCLEAR, stock),
  untouched('no Istio at all', ON, { containers: [app] }),
  untouched('the gate is there already', ON, { initContainers: [writtenGate, nativeProxy], containers: [app] }),
  untouched('the gate is there already, before an init container of the user', ON, {
    initContainers: [writtenGate, userInit],
    containers: [app, proxy],
  }),
  untouched(
    'interception mode NONE, for which Istio leaves no init container',
    { annotations: { ...ON.annotations, 'sidecar.istio.io/interceptionMode': 'NONE' } },
    { initContainers: [nativeProxy], containers: [app] },
  ),
  untouched('host network', ON, { ...stock, hostNetwork: true }),
  untouched('label sidecar.istio.io/inject: "false"', { ...ON, labels: NO_INJECTION }, stock),
  untouched(
    'annotation sidecar.istio.io/inject: "false"',
    { annotations: { ...ON.annotations, ...NO_INJECTION } },
    stock,
  ),
  untouched('OpenShift build', { annotations: { ...ON.annotations, 'openshift.io/build.name': 'build-1' } }, stock),
  untouched(
    'OpenShift deployer',
    { annotations: { ...ON.annotations, 'openshift.io/deployer-pod-for.name': 'app-1' } },
    stock,
  ),
  untouched('no proxy container', ON, { initContainers: [istioInit], containers: [app] }),
  untouched('a gateway, not a sidecar', ON, {
    initContainers: [istioInit],
    containers: [{ ...proxy, args: ['proxy', 'router'] }],
  }),
  untouched('Envoy disabled', ON, {
    initContainers: [istioInit],
    containers: [app, { ...proxy, env: [{ name: 'DISABLE_ENVOY', value: 'true' }] }],
  }),
];

export const GATE_CASES: readonly GateCase[] = [...GATED, ...UNTOUCHED];

function gated(
  title: string,
  metadata: Fields,
  spec: Fields,
  expected: ExpectedGate,
  namespace: GateNamespace = 'gate-plain',
): GateCase {
  return { title, namespace, pod: manifest(title, metadata, spec), expected, running: false };
}

function untouched(title: string, metadata: Fields, spec: Fields, namespace: GateNamespace = 'gate-plain'): GateCase {
  return { title, namespace, pod: manifest(title, metadata, spec), expected: undefined, running: false };
}

function running(one: GateCase): GateCase {
  return { ...one, running: true };
}

function manifest(title: string, metadata: Fields, spec: Fields): PodManifest {
  const name = title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 60)
    .replace(/-$/, '');
  // Without it the API server would give every pod a volume of random name, and two answers could not be compared.
  const automountServiceAccountToken = false;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name },
    spec: { ...spec, automountServiceAccountToken },
  };
}
