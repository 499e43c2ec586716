import { INITIALIZE_ANNOTATION, INJECT_KEY, INJECTED_ANNOTATION } from '../enrollment/decide.ts';
import type { EnrollmentOptions } from '../enrollment/decide.ts';
import type { Namespace } from '../pod/pod.ts';

/** What a sandbox shows of its pod: kubelet copies labels and annotations as they were when it made the sandbox. */
export interface SandboxMetadata {
  readonly podNamespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * May the pod of this sandbox take part? Only then a hook looks at the pod itself, whose containers decide; for all others it returns at
 * once. Never no where `decide` would say yes, but for a Namespace that is not known yet, whose pods the gate holds back.
 */
export function mayBeOurs(
  sandbox: SandboxMetadata,
  namespace: Namespace | undefined,
  options: EnrollmentOptions,
): boolean {
  if (isExcluded(sandbox, options)) return false;
  const own = sandbox.annotations[INITIALIZE_ANNOTATION];
  if (own !== undefined) return own !== 'false';
  const inherited = namespace?.annotations[INITIALIZE_ANNOTATION];
  if (inherited !== undefined && inherited !== 'false') return true;
  const injected = sandbox.annotations[INJECTED_ANNOTATION] !== undefined;
  return injected && (options.enroll === 'injected' || namespace === undefined);
}

/**
 * Does the sandbox itself say that its pod takes part, so that without an answer about it none of its containers may be created? A pod
 * that its Namespace asks for, but that nobody injected, may well have no proxy, and nothing is gained by holding it back unseen.
 */
export function claimsCapture(
  sandbox: SandboxMetadata,
  namespace: Namespace | undefined,
  options: EnrollmentOptions,
): boolean {
  if (isExcluded(sandbox, options)) return false;
  const own = sandbox.annotations[INITIALIZE_ANNOTATION];
  if (own !== undefined) return own === 'true';
  const asked = options.enroll === 'injected' || namespace?.annotations[INITIALIZE_ANNOTATION] === 'true';
  return asked && sandbox.annotations[INJECTED_ANNOTATION] !== undefined;
}

function isExcluded(sandbox: SandboxMetadata, options: EnrollmentOptions): boolean {
  if (options.excludedNamespaces.includes(sandbox.podNamespace)) return true;
  // Istio's injector reads the label before the annotation.
  return (sandbox.labels[INJECT_KEY] ?? sandbox.annotations[INJECT_KEY]) === 'false';
}
