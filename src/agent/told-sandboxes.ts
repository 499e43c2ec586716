import type { ToldSandbox } from '../sandbox/nri/plugin-hooks.ts';
import type { SandboxDetails } from '../sandbox/sandbox.ts';

/**
 * The sandboxes the runtime told its plugin (NRI) on the present connection. While there is none, nothing is known here: what happened
 * meanwhile was told to nobody.
 */
export interface ToldSandboxes {
  /** A connection was made, or lost. Either way all that was told before is void. */
  connected(is: boolean): void;
  readonly isConnected: boolean;
  /** It is alive: just made, or one of its containers is about to be. */
  alive(sandbox: ToldSandbox): SandboxDetails;
  /** Everything there is, at Synchronize. Those without a pid are left to CRI: stopped, or of a runtime that does not say. */
  replaceAll(sandboxes: readonly ToldSandbox[]): void;
  stopped(sandboxId: string): void;
  removed(sandboxId: string): void;
  /** Undefined: not told. */
  details(sandboxId: string): SandboxDetails | undefined;
  readyOf(podUid: string): readonly SandboxDetails[];
}

/** More than any node has (kubelet allows 110 pods, experiments 2500); what is beyond is looked up over CRI as without NRI. */
export const TOLD_MAX = 8_192;

/** Keeps neither labels nor annotations: those of one pod may be 256 KiB. */
export function createToldSandboxes(options: { readonly sandboxesMax?: number } = {}): ToldSandboxes {
  const { sandboxesMax = TOLD_MAX } = options;
  const byId = new Map<string, SandboxDetails>();
  const idsByPod = new Map<string, Set<string>>();
  let isConnected = false;
  /** NRI tells neither attempt nor time: the one told last is the youngest. */
  let order = 0n;

  function remember(details: SandboxDetails): void {
    // Without a path: host network, or the runtime does not say, and CRI may know more.
    if (!isConnected || details.netnsPath === undefined) return;
    if (byId.size >= sandboxesMax && !byId.has(details.id)) return;
    byId.set(details.id, details);
    const ids = idsByPod.get(details.podUid) ?? new Set();
    idsByPod.set(details.podUid, ids.add(details.id));
  }

  function removed(sandboxId: string): void {
    const details = byId.get(sandboxId);
    if (details === undefined) return;
    byId.delete(sandboxId);
    const ids = idsByPod.get(details.podUid);
    ids?.delete(sandboxId);
    if (ids?.size === 0) idsByPod.delete(details.podUid);
  }

  function alive(sandbox: ToldSandbox): SandboxDetails {
    const known = byId.get(sandbox.id);
    order += 1n;
    const details = detailsOf(sandbox, known?.createdAtNs ?? order);
    remember(details);
    return details;
  }

  function clear(): void {
    byId.clear();
    idsByPod.clear();
  }

  return {
    connected: (is) => {
      isConnected = is;
      clear();
    },
    get isConnected() {
      return isConnected;
    },
    alive,
    replaceAll: (sandboxes) => {
      clear();
      for (const sandbox of sandboxes) if (sandbox.pid !== 0) alive(sandbox);
    },
    stopped: (sandboxId) => {
      const details = byId.get(sandboxId);
      if (details !== undefined) byId.set(sandboxId, { ...details, ready: false });
    },
    removed,
    details: (sandboxId) => byId.get(sandboxId),
    readyOf: (podUid) =>
      [...(idsByPod.get(podUid) ?? [])].flatMap((id) => {
        const details = byId.get(id);
        return details?.ready === true ? [details] : [];
      }),
  };
}

function detailsOf(sandbox: ToldSandbox, createdAtNs: bigint): SandboxDetails {
  const { id, podUid, podName, podNamespace, netnsPath, ips, pid } = sandbox;
  return {
    id,
    podUid,
    podName,
    podNamespace,
    attempt: 0,
    ready: true,
    createdAtNs,
    netnsPath,
    hostNetwork: false,
    ips,
    pid: pid === 0 ? undefined : pid,
    nameservers: undefined,
  };
}
