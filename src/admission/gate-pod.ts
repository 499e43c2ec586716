import { evaluate } from './evaluate.ts';
import { gatedInits, mustChange } from './gate-rule.ts';
import { CONDITIONS, REFUSALS } from './gated-rule.ts';
import { asObject, asString, type JsonObject } from './json.ts';

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

type Annotations = Readonly<Record<string, string>>;

/**
 * Puts the gate in front of a pod and takes Istio's own init container out: pod → pod, never changing its input, and doing nothing
 * the second time. The MutatingAdmissionPolicy of the chart is rendered from the same rule.
 * A pod that the agent would not enroll is returned as it is: a gate there would never open.
 * @param pod a Pod, or anything with `metadata` and `spec` of a pod (a pod template).
 * @param namespaceAnnotations the annotations of the Namespace the pod is created in.
 */
export function gatePod(pod: unknown, namespaceAnnotations: Annotations, settings: GateSettings): GatedPod {
  const scope = { inputs: { object: pod, ...inNamespace(namespaceAnnotations) }, settings: { ...settings } };
  if (evaluate(mustChange, scope) !== true) return { pod, gated: false };
  const root = asObject(pod);
  const initContainers = evaluate(gatedInits, scope);
  return { pod: { ...root, spec: { ...asObject(root.spec), initContainers } }, gated: true };
}

/**
 * What the "gated" ValidatingAdmissionPolicy of the chart says of a pod: the message with which it refuses it, or undefined.
 * @param oldPod the pod as it was, when it is updated.
 */
export function refusalOf(
  pod: unknown,
  namespaceAnnotations: Annotations,
  settings: GateSettings,
  oldPod?: unknown,
): string | undefined {
  const request = { operation: oldPod === undefined ? 'CREATE' : 'UPDATE' };
  const inputs = { object: pod, oldObject: oldPod ?? null, request, ...inNamespace(namespaceAnnotations) };
  const scope = { inputs, settings: { ...settings } };
  if (Object.values(CONDITIONS).some((condition) => evaluate(condition, scope) !== true)) return undefined;
  const refusal = REFUSALS.find(({ when }) => evaluate(when, scope) === true);
  return refusal === undefined ? undefined : asString(evaluate(refusal.message, scope));
}

function inNamespace(annotations: Annotations): JsonObject {
  return { namespaceObject: { metadata: { annotations } } };
}
