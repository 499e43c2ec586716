import { evaluate } from './evaluate.ts';
import type { Expression, Scope } from './expression.ts';
import { CONDITIONS, type Refusal, REFUSALS } from './gated-rule.ts';
import { HELD_CONDITIONS, HELD_REFUSALS } from './held-rule.ts';
import { asList, asObject, asString, type JsonObject } from './json.ts';
import { type GateMode, obstacle, POD_CHANGES, REFUSES_TO_CHANGE } from './pod-change.ts';

/** What is put into pods. The chart's values and the webhook's flags fill it. */
export interface GateSettings {
  /** `container`: an init container, made of what follows. `runtime`: none, and the runtime is told to require our plugin. */
  readonly mode: GateMode;
  /** Labels a node must have for a pod without a gate. */
  readonly nodeSelector: Readonly<Record<string, string>>;
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
  /** Why a pod that takes part could not be changed, for whoever wrote it. Only where it has no gate. */
  readonly obstacle?: string;
}

type Annotations = Readonly<Record<string, string>>;

/**
 * Takes Istio's own init container out and sees to it that something else holds the pod back: pod → pod, never changing its input, and
 * doing nothing the second time. The MutatingAdmissionPolicy of the chart is rendered from the same rule.
 * A pod that the agent would not enroll is returned as it is: a gate there would never open.
 * @param pod a Pod, or anything with `metadata` and `spec` of a pod (a pod template).
 * @param namespaceAnnotations the annotations of the Namespace the pod is created in.
 */
export function gatePod(pod: unknown, namespaceAnnotations: Annotations, settings: GateSettings): GatedPod {
  const scope = { inputs: { object: pod, ...inNamespace(namespaceAnnotations) }, settings: { ...settings } };
  const change = POD_CHANGES[settings.mode];
  if (evaluate(REFUSES_TO_CHANGE[settings.mode], scope) === true)
    return { pod, gated: false, obstacle: asString(evaluate(obstacle, scope)) };
  if (evaluate(change.when, scope) !== true) return { pod, gated: false };
  const root = asObject(pod);
  const initContainers = evaluate(change.initContainers, scope);
  const metadata = withPairs(root.metadata, 'annotations', evaluate(change.annotations, scope));
  const spec = withPairs(root.spec, 'nodeSelector', evaluate(change.nodeSelector, scope));
  const changed = metadata === root.metadata ? root : { ...root, metadata };
  return { pod: { ...changed, spec: { ...asObject(spec), initContainers } }, gated: true };
}

/** With pairs of key and value in a map that is one of its fields; the same where there are none. */
function withPairs(parent: unknown, field: string, pairs: unknown): unknown {
  const entries = asList(pairs).map(asList);
  if (entries.length === 0) return parent;
  const added = Object.fromEntries(entries.map(([key, value]) => [asString(key), value]));
  return { ...asObject(parent), [field]: { ...asObject(asObject(parent)[field]), ...added } };
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
  return firstRefusal(
    { conditions: CONDITIONS, refusals: REFUSALS[settings.mode] },
    scopeOf(pod, oldPod, namespaceAnnotations, settings),
  );
}

/** What the "held" policy says of an update of a pod, or of a Binding, which has no old one. */
export function heldRefusalOf(
  object: unknown,
  namespaceAnnotations: Annotations,
  settings: GateSettings,
  oldPod?: unknown,
): string | undefined {
  return firstRefusal(
    { conditions: HELD_CONDITIONS, refusals: HELD_REFUSALS },
    scopeOf(object, oldPod, namespaceAnnotations, settings),
  );
}

interface Policy {
  readonly conditions: Readonly<Record<string, Expression>>;
  readonly refusals: readonly Refusal[];
}

function firstRefusal({ conditions, refusals }: Policy, scope: Scope): string | undefined {
  if (Object.values(conditions).some((condition) => evaluate(condition, scope) !== true)) return undefined;
  const refusal = refusals.find(({ when }) => evaluate(when, scope) === true);
  return refusal === undefined ? undefined : asString(evaluate(refusal.message, scope));
}

function scopeOf(object: unknown, oldPod: unknown, annotations: Annotations, settings: GateSettings): Scope {
  const request = { operation: oldPod === undefined ? 'CREATE' : 'UPDATE' };
  const inputs = { object, oldObject: oldPod ?? null, request, ...inNamespace(annotations) };
  return { inputs, settings: { ...settings } };
}

function inNamespace(annotations: Annotations): JsonObject {
  return { namespaceObject: { metadata: { annotations } } };
}
