import type { Namespace, Pod } from '../pod/pod.ts';
import { runtimePodUid } from '../sandbox/sandbox.ts';

/** What the API server told of a pod. */
export interface ArrivedPod {
  readonly pod: Pod;
  readonly namespace: Namespace;
}

/** Who a hook is about, as the runtime knows it. */
export interface ExpectedPod {
  readonly podNamespace: string;
  readonly podName: string;
  readonly podUid: string;
}

/** As `podKey` of the pod itself. */
export function keyOf({ podNamespace, podName }: Pick<ExpectedPod, 'podNamespace' | 'podName'>): string {
  return `${podNamespace}/${podName}`;
}

/** Lets a hook of the runtime wait for a pod that the API server's watch has not told of yet. */
export interface Arrivals {
  /** What is known now; undefined while the pod, the one with this uid, or its Namespace is not. */
  now(expected: ExpectedPod): ArrivedPod | undefined;
  /** The same, or as soon as the watch tells of it; undefined when it does not in time. */
  awaited(expected: ExpectedPod, deadlineMs: number): Promise<ArrivedPod | undefined>;
  /** Something changed in one of the stores. */
  changed(): void;
}

/**
 * Nearly always the watch's event is there long before the sandbox is: kubelet got the same one, and a sandbox takes a quarter of a second.
 * Every other pod of the node waits while one hook does, so no hook waits longer than this.
 */
export const ARRIVAL_WAIT_MS = 500;
/** The runtime runs one hook at a time; more can only be left over from hooks whose time was over. */
const WAITING_MAX = 64;

export function createArrivals(options: {
  readonly pod: (key: string) => Pod | undefined;
  readonly namespace: (name: string) => Namespace | undefined;
  /** False while a watch is interrupted: then nothing would arrive, and no pod of the node shall wait for it. */
  readonly following: () => boolean;
  readonly nowMs: () => number;
  readonly startTimer: (delayMs: number, fire: () => void) => { cancel(): void };
}): Arrivals {
  const waiting = new Set<() => void>();

  function now(expected: ExpectedPod): ArrivedPod | undefined {
    const pod = options.pod(keyOf(expected));
    // A pod of the same name made anew (StatefulSet) is another pod.
    if (pod === undefined || runtimePodUid(pod) !== expected.podUid) return undefined;
    const namespace = options.namespace(pod.namespace);
    return namespace === undefined ? undefined : { pod, namespace };
  }

  function awaited(expected: ExpectedPod, deadlineMs: number): Promise<ArrivedPod | undefined> {
    const known = now(expected);
    const waitMs = Math.min(deadlineMs - options.nowMs(), ARRIVAL_WAIT_MS);
    const hopeless = waitMs <= 0 || waiting.size >= WAITING_MAX || !options.following();
    if (known !== undefined || hopeless) return Promise.resolve(known);
    return new Promise((resolve) => {
      const end = (arrived: ArrivedPod | undefined) => {
        waiting.delete(look);
        timer.cancel();
        resolve(arrived);
      };
      const look = () => {
        const arrived = now(expected);
        if (arrived !== undefined) end(arrived);
      };
      const timer = options.startTimer(waitMs, () => end(undefined));
      waiting.add(look);
    });
  }

  return {
    now,
    awaited,
    changed: () => {
      for (const look of waiting) look();
    },
  };
}
