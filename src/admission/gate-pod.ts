import { INITIALIZE_ANNOTATION } from '../enrollment/decide.ts';
import { asList, asObject, asString, type JsonObject } from './json.ts';

/** Istio's init containers that the gate takes the place of: the privileged one, and the one that only checks. */
const REPLACED = ['istio-init', 'istio-validation'];

/** What the gate's container is made of. The chart's values and the webhook's flags fill it. */
export interface GateSettings {
  /** Container name, `istio-pod-network-controller-gate`. */
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** Arguments after `init` and before `--`. */
  readonly args: readonly string[];
  /** Kubernetes resources object, used when the replaced container names none. */
  readonly resources: JsonObject;
  /** `annotated`: only pods asked for by annotation. `injected`: also every pod that Istio's injector touched. */
  readonly enroll: 'annotated' | 'injected';
  /** Name of the proxy container, `istio-proxy`. */
  readonly sidecarName: string;
}

/** The result: the same object when nothing had to change, so that callers can tell. */
export interface GatedPod {
  readonly pod: unknown;
  readonly gated: boolean;
}

/**
 * Puts the gate in front of a pod and takes Istio's own init container out: pod → pod, never changing its input.
 * The MutatingAdmissionPolicy of the chart does the same in CEL; `test/support/gate-cases.ts` holds both to one table.
 * A pod that the agent would not enroll is returned as it is: a gate there would never open.
 * @param pod a Pod, or anything with `metadata` and `spec` of a pod (a pod template).
 * @param namespaceAnnotations the annotations of the Namespace the pod is created in.
 */
export function gatePod(
  pod: unknown,
  namespaceAnnotations: Readonly<Record<string, string>>,
  settings: GateSettings,
): GatedPod {
  const unchanged: GatedPod = { pod, gated: false };
  const root = asObject(pod);
  const spec = asObject(root.spec);
  const inits = asList(spec.initContainers).map(asObject);
  const inherited = inits.find((container) => REPLACED.includes(asString(container.name)));
  if (inherited === undefined) return unchanged;
  if (!isWanted(asObject(root.metadata), namespaceAnnotations, settings.enroll)) return unchanged;
  if (!canBeCaptured(root, settings.sidecarName)) return unchanged;
  const dropped = [...REPLACED, settings.name];
  const kept = inits.filter((container) => !dropped.includes(asString(container.name)));
  // First, because kubelets with kubernetes#124002 rerun only the first init container after a sandbox was re-created.
  const initContainers = [gateContainer(inherited, settings), ...kept];
  return { pod: { ...root, spec: { ...spec, initContainers } }, gated: true };
}

/** The pod's own word counts first; only a pod that says neither yes nor no follows its Namespace. */
function isWanted(
  metadata: JsonObject,
  namespaceAnnotations: Readonly<Record<string, string>>,
  enroll: GateSettings['enroll'],
): boolean {
  const annotations = asObject(metadata.annotations);
  const choice = annotations[INITIALIZE_ANNOTATION];
  if (choice === 'true') return true;
  if (choice === 'false') return false;
  if (namespaceAnnotations[INITIALIZE_ANNOTATION] === 'true') return true;
  return enroll === 'injected' && 'sidecar.istio.io/status' in annotations;
}

/** The rules by which enrollment ignores a pod that asks for capture: such pods must not wait for the agent. */
function canBeCaptured(root: JsonObject, sidecarName: string): boolean {
  const metadata = asObject(root.metadata);
  const spec = asObject(root.spec);
  const annotations = asObject(metadata.annotations);
  if (spec.hostNetwork === true) return false;
  if ('openshift.io/deployer-pod-for.name' in annotations || 'openshift.io/build.name' in annotations) return false;
  // As in Istio's injector, the label is read before the annotation.
  const inject = asObject(metadata.labels)['sidecar.istio.io/inject'] ?? annotations['sidecar.istio.io/inject'];
  if (inject === 'false') return false;
  const containers = [...asList(spec.initContainers), ...asList(spec.containers)].map(asObject);
  const proxies = containers.filter((container) => container.name === sidecarName);
  return proxies.length > 0 && proxies.every(isSidecarProxy);
}

function isSidecarProxy(proxy: JsonObject): boolean {
  const [verb, role] = asList(proxy.args);
  if (verb === 'proxy' && role !== undefined && role !== 'sidecar') return false;
  const env = asList(proxy.env).map(asObject);
  return !env.some((variable) => variable.name === 'DISABLE_ENVOY' && variable.value === 'true');
}

/** A container that passes Pod Security `restricted` and carries what Istio resolved for this pod. */
function gateContainer(inherited: JsonObject, settings: GateSettings): JsonObject {
  const resources = asObject(inherited.resources);
  const namesResources = 'requests' in resources || 'limits' in resources;
  return {
    name: settings.name,
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    // The agent reads the capture policy from these arguments and variables; the gate itself ignores what follows `--`.
    args: ['init', ...settings.args, '--', ...asList(inherited.args)],
    // valueFrom is left behind: the agent could not know its value, and Istio resolves nothing that way here.
    env: asList(inherited.env).filter((variable) => !('valueFrom' in asObject(variable))),
    // The replaced container's resources keep the pod's QoS class and quota use exactly as with Istio alone.
    resources: namesResources ? resources : settings.resources,
    securityContext: {
      ...inheritedIds(asObject(inherited.securityContext)),
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    // Makes the reason of a gate that gave up visible in `kubectl describe pod`.
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

/** OpenShift's SCC refuses a container without the uid it would have set; root is never kept, the image's user holds. */
function inheritedIds(securityContext: JsonObject): JsonObject {
  const ids: Record<string, unknown> = {};
  for (const key of ['runAsUser', 'runAsGroup']) {
    const id = securityContext[key];
    if (typeof id === 'number' && id !== 0) ids[key] = id;
  }
  return ids;
}
