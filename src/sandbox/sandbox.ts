/** A pod sandbox as the runtime lists it. Its netns and IPs need a look at the details. */
export interface Sandbox {
  /** Chosen by the runtime, 64 hex digits with containerd, CRI-O and Docker; a re-created sandbox has another one. */
  readonly id: string;
  /** The pod's uid as kubelet knows it: for static pods not the uid in the API, see `runtimePodUid`. */
  readonly podUid: string;
  readonly podName: string;
  readonly podNamespace: string;
  /** Rises by one each time kubelet re-creates the sandbox of the same pod. */
  readonly attempt: number;
  readonly ready: boolean;
  /** Nanoseconds since the epoch, by the node's clock. In lists of cri-dockerd to the second. */
  readonly createdAtNs: bigint;
}

export interface SandboxDetails extends Sandbox {
  /** Undefined: host network, or the runtime does not say. Absolute and without `..`. */
  readonly netnsPath: string | undefined;
  readonly hostNetwork: boolean;
  /** In the runtime's order, the primary one first. Empty with host network. */
  readonly ips: readonly string[];
  /** Undefined with CRI-O when the pod has no infra container, and for a sandbox that was stopped. */
  readonly pid: number | undefined;
  /** Of the pod's resolv.conf, as kubelet asked for it; undefined where the runtime does not say. Not checked to be addresses. */
  readonly nameservers: readonly string[] | undefined;
}

/** The container runtime, as far as the agent needs it. Every call has a deadline and throws `RuntimeUnavailable` or `RuntimeReply`. */
export interface SandboxRuntime {
  version(): Promise<{ readonly name: string; readonly version: string }>;
  /** Sandboxes in state READY: of one pod (filtered by the runtime), or of the whole node. */
  listReady(podUid?: string): Promise<readonly Sandbox[]>;
  /** Undefined: the runtime no longer knows the sandbox. */
  details(sandboxId: string): Promise<SandboxDetails | undefined>;
  /** Ends the connection; calls under way fail, and later calls too. */
  close(): void;
}

/**
 * The ready sandbox of a pod: the one with the highest attempt, then the youngest. A pod has two for a moment while kubelet replaces
 * a dead sandbox, and the runtime may list them in any order.
 */
export function pickSandbox(sandboxes: readonly Sandbox[], podUid: string): Sandbox | undefined {
  let newest: Sandbox | undefined;
  for (const sandbox of sandboxes) {
    if (!sandbox.ready || sandbox.podUid !== podUid) continue;
    if (newest === undefined || isNewer(sandbox, newest)) newest = sandbox;
  }
  return newest;
}

function isNewer(candidate: Sandbox, than: Sandbox): boolean {
  if (candidate.attempt !== than.attempt) return candidate.attempt > than.attempt;
  return candidate.createdAtNs > than.createdAtNs;
}

/** Kubelet writes both on the mirror pod of a static pod; the value is the uid that the runtime was given. */
const CONFIG_HASH = 'kubernetes.io/config.hash';
const CONFIG_MIRROR = 'kubernetes.io/config.mirror';
/** Kubelet's hash of a static pod's manifest: MD5 in hex. Uids of API pods have dashes, so that neither can pass for the other. */
const MANIFEST_HASH = /^[0-9a-f]{32}$/;

/**
 * The uid under which the runtime knows a pod of the API. Static pods run under the hash of their manifest; the API shows their
 * mirror pod, which has a uid of its own. Anybody may annotate a pod, so only what kubelet would write counts, and it can never name
 * the sandbox of an ordinary pod.
 */
export function runtimePodUid(pod: {
  readonly uid: string;
  readonly annotations: Readonly<Record<string, string>>;
}): string {
  const hash = pod.annotations[CONFIG_HASH];
  if (hash === undefined || hash !== pod.annotations[CONFIG_MIRROR] || !MANIFEST_HASH.test(hash)) return pod.uid;
  return hash;
}
