import { heldByGate, isGateName } from '../capture/gate-container.ts';
import { type EnrollmentOptions, isCapturable } from '../enrollment/decide.ts';
import type { Pod } from '../pod/pod.ts';
import type { HookResult } from './reconcile.ts';

/** What is known when the runtime is about to create a container. */
export type ContainerCase =
  /** The API server has not told of the pod, though its sandbox says that it takes part. */
  { readonly kind: 'unseen' } | { readonly kind: 'judged'; readonly pod: Pod; readonly result: HookResult };

/**
 * Why a container must not be created: a code, and words that people find in the pod's Events. Only containers that would run without
 * rules are refused. What a gate holds back is created: the gate itself waits and says why, and nothing after it starts before it opens.
 */
export function containerRefusal(
  containerName: string,
  about: ContainerCase,
  options: EnrollmentOptions,
): string | undefined {
  if (about.kind === 'unseen') {
    if (isGateName(containerName)) return undefined;
    return text('PodUnseen', 'the node agent has not heard of this pod from the API server; kubelet will try again');
  }
  const { pod, result } = about;
  if (result.kind !== 'refused' && result.kind !== 'failed') return undefined;
  if (heldByGate(pod, containerName)) return undefined;
  const { decision } = result;
  if (decision.action === 'refuse') {
    // An unclear choice in a pod without a proxy, or with an istio-init of its own, costs it nothing.
    return isCapturable(pod, options) ? text(decision.reason, decision.message) : undefined;
  }
  // With interception mode NONE there are no rules to run without.
  if (result.kind === 'refused' || decision.reason === 'CaptureNone') return undefined;
  return text(result.error.code, result.error.message);
}

/** Far below what kubelet keeps of an Event's message (1 KiB), of which the runtime's own words take a part. */
const TEXT_MAX = 700;

function text(code: string, words: string): string {
  const line = `istio-pod-network-controller: traffic capture is not in place: ${code}: ${words}`.replaceAll(
    /\s+/g,
    ' ',
  );
  return line.length > TEXT_MAX ? `${line.slice(0, TEXT_MAX - 1)}…` : line;
}
