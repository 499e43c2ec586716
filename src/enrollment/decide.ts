import type { Container, Namespace, Pod } from '../pod/pod.ts';
import type { Decision, ReasonCode } from './reasons.ts';

/** What the operator sets about who takes part. */
export interface EnrollmentOptions {
  readonly excludedNamespaces: readonly string[];
  /** `injected`: a pod Istio's injector touched takes part without asking. */
  readonly enroll: 'annotated' | 'injected';
  /** Name of the proxy container. */
  readonly sidecarName: string;
}

export const INITIALIZE_ANNOTATION = 'istio-pod-network-controller/initialize';
export const INJECT_KEY = 'sidecar.istio.io/inject';
export const INJECTED_ANNOTATION = 'sidecar.istio.io/status';
/** Set by OpenShift on its own helper pods, which live in the user's namespace but not by the user's will. */
export const OPENSHIFT_BUILD_ANNOTATIONS = ['openshift.io/deployer-pod-for.name', 'openshift.io/build.name'];
/** Everything `istio-init` needs to write rules itself. */
export const CAPTURING_CAPABILITIES = new Set(['ALL', 'NET_ADMIN', 'CAP_NET_ADMIN']);

/** Does this pod take part? First rule that matches decides; the result always says why. The traffic settings are judged later. */
export function decide(pod: Pod, namespace: Namespace, options: EnrollmentOptions): Decision {
  return (
    notOurKind(pod, options) ??
    notSelected(pod, namespace, options) ??
    notAProxy(pod, options) ??
    selfCaptured(pod) ??
    enrolled(pod)
  );
}

/** Could the pod be captured at all, whatever is asked for? A proxy is there, and nobody else writes the rules. */
export function isCapturable(pod: Pod, options: EnrollmentOptions): boolean {
  return (
    notOurKind(pod, options) === undefined && notAProxy(pod, options) === undefined && selfCaptured(pod) === undefined
  );
}

function notOurKind(pod: Pod, options: EnrollmentOptions): Decision | undefined {
  if (pod.hostNetwork) return ignore('HostNetwork', 'hostNetwork is true');
  if (pod.phase !== 'Pending' && pod.phase !== 'Running')
    return ignore('Terminated', `phase is ${JSON.stringify(pod.phase)}`);
  const build = OPENSHIFT_BUILD_ANNOTATIONS.find((key) => pod.annotations[key] !== undefined);
  if (build !== undefined) return ignore('OpenShiftBuild', `annotation ${build} is set`);
  if (options.excludedNamespaces.includes(pod.namespace))
    return ignore('NamespaceExcluded', `namespace ${pod.namespace} is excluded`);
  return undefined;
}

/** The pod's own word counts first, then the namespace's, then the operator's. */
function notSelected(pod: Pod, namespace: Namespace, options: EnrollmentOptions): Decision | undefined {
  const own = pod.annotations[INITIALIZE_ANNOTATION];
  if (own === 'true') return undefined;
  if (own === 'false') return ignore('OptedOut', `annotation ${INITIALIZE_ANNOTATION} of the pod is "false"`);
  if (own !== undefined) return unclear('pod', own);
  const inherited = namespace.annotations[INITIALIZE_ANNOTATION];
  if (inherited === 'true') return undefined;
  if (options.enroll === 'injected' && pod.annotations[INJECTED_ANNOTATION] !== undefined) return undefined;
  // A value of the namespace that is neither concerns only pods that could take part: the others must not hear of it.
  if (inherited !== undefined && inherited !== 'false' && notAProxy(pod, options) === undefined)
    return unclear('namespace', inherited);
  return ignore('NotSelected', `neither the pod nor its namespace has ${INITIALIZE_ANNOTATION}: "true"`);
}

function notAProxy(pod: Pod, options: EnrollmentOptions): Decision | undefined {
  // Istio's injector reads the label before the annotation.
  const inject = pod.labels[INJECT_KEY] ?? pod.annotations[INJECT_KEY];
  if (inject === 'false') return ignore('InjectionDisabled', `${INJECT_KEY} is "false"`);
  const proxy = proxyOf(pod, options);
  if (proxy === undefined) {
    return warn(
      'NoSidecar',
      `there is no container ${options.sidecarName}; redirecting the pod's traffic would cut it off`,
    );
  }
  if (proxy.env.some(({ name, value }) => name === 'DISABLE_ENVOY' && value === 'true')) {
    return ignore('EnvoyDisabled', `${proxy.name} has DISABLE_ENVOY=true`);
  }
  if (proxy.args[0] === 'proxy' && proxy.args[1] !== undefined && proxy.args[1] !== 'sidecar') {
    return ignore('NotASidecar', `${proxy.name} runs as ${JSON.stringify(proxy.args[1])}`);
  }
  return undefined;
}

function selfCaptured(pod: Pod): Decision | undefined {
  const init = pod.initContainers.find(({ name, securityContext }) => {
    if (name !== 'istio-init') return false;
    return (
      securityContext.privileged || securityContext.addedCapabilities.some((one) => CAPTURING_CAPABILITIES.has(one))
    );
  });
  if (init === undefined) return undefined;
  return warn(
    'SelfCaptured',
    'the pod still has a privileged istio-init, which writes the rules itself; let the gate take its place',
  );
}

function enrolled(pod: Pod): Decision {
  const whose =
    pod.annotations[INITIALIZE_ANNOTATION] === 'true'
      ? 'the pod asks for it'
      : 'its namespace or injection asks for it';
  return { action: 'enroll', reason: 'Enrolled', message: whose, warn: false };
}

/** Sidecars are containers or, natively, init containers with restartPolicy Always. */
function proxyOf(pod: Pod, options: EnrollmentOptions): Container | undefined {
  return [...pod.initContainers, ...pod.containers].find(({ name }) => name === options.sidecarName);
}

function unclear(whose: string, value: string): Decision {
  const shown = JSON.stringify(value.slice(0, 60));
  const message = `annotation ${INITIALIZE_ANNOTATION} of the ${whose} is ${shown}; allowed is "true" or "false"`;
  return { action: 'refuse', reason: 'InvalidSelection', message, warn: true };
}

function ignore(reason: ReasonCode, message: string): Decision {
  return { action: 'ignore', reason, message, warn: false };
}

function warn(reason: ReasonCode, message: string): Decision {
  return { action: 'ignore', reason, message, warn: true };
}
