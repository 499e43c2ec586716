import type { BackendName } from '../backend/backend.ts';
import type { Decision } from '../enrollment/reasons.ts';
import type { Pod } from '../pod/pod.ts';

/** The annotations the agent writes. A report for people and for the original's gate; the agent itself never trusts them. */
export const STATUS_ANNOTATION = 'pod-network-controller.istio.io/status';
export const MESSAGE_ANNOTATION = 'pod-network-controller.istio.io/message';
export const CAPTURE_ANNOTATION = 'pod-network-controller.istio.io/capture';

/** What `…/capture` holds, as JSON. */
export interface CaptureReport {
  readonly policy: string;
  readonly sandbox: string;
  /** SO_NETNS_COOKIE: unique per boot, never reused. */
  readonly netns: string;
  readonly boot: string;
  /** What holds the rules. */
  readonly backend: BackendName;
  readonly at: string;
  readonly ms: number;
}

/** A merge patch of annotations: null removes a key. Undefined when the pod already says it. */
export type AnnotationPatch = Readonly<Record<string, string | null>>;

/** `initialized`, exactly as the original wrote it, and the facts behind it. */
export function capturedAnnotations(pod: Pod, report: CaptureReport): AnnotationPatch | undefined {
  if (alreadySays(pod, report)) return undefined;
  return {
    [STATUS_ANNOTATION]: 'initialized',
    [CAPTURE_ANNOTATION]: JSON.stringify(report),
    ...removal(pod, MESSAGE_ANNOTATION),
  };
}

/** `failed` and one line that says why. */
export function failedAnnotations(pod: Pod, text: string): AnnotationPatch | undefined {
  const message = text.length > MESSAGE_MAX ? `${text.slice(0, MESSAGE_MAX - 1)}…` : text;
  if (pod.annotations[STATUS_ANNOTATION] === 'failed' && pod.annotations[MESSAGE_ANNOTATION] === message)
    return undefined;
  return {
    [STATUS_ANNOTATION]: 'failed',
    [MESSAGE_ANNOTATION]: message,
    ...removal(pod, CAPTURE_ANNOTATION),
  };
}

/** Which decisions are told through the pod's status annotation: those about pods that take part. */
export function isAboutCapture(decision: Decision): boolean {
  return decision.action !== 'ignore';
}

/** The same sandbox, netns and policy: a restarted agent has nothing to add, and writes nothing. */
function alreadySays(pod: Pod, report: CaptureReport): boolean {
  if (pod.annotations[STATUS_ANNOTATION] !== 'initialized' || pod.annotations[MESSAGE_ANNOTATION] !== undefined)
    return false;
  const written = parseObject(pod.annotations[CAPTURE_ANNOTATION]);
  return (['policy', 'sandbox', 'netns', 'boot'] as const).every((key) => written[key] === report[key]);
}

function parseObject(json: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json ?? '{}');
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    // Anybody who may edit the pod may have written nonsense here: it counts as not written.
    return {};
  }
}

function removal(pod: Pod, key: string): AnnotationPatch {
  return pod.annotations[key] === undefined ? {} : { [key]: null };
}

/** Room for every problem of a pod, and far below the limit of all annotations together (256 KiB). */
const MESSAGE_MAX = 1_000;
