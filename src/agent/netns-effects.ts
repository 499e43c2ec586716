import { loadLibnftables, type Nft } from '../backend/nft/libnftables.ts';
import { ControllerError } from '../errors.ts';
import { clearMark, readMark, writeMark } from '../netns/mark.ts';
import type { Mark } from '../netns/mark-text.ts';
import { addressesHere, enterNetns, type Netns, openNetns, warmThreadPool } from '../netns/netns.ts';
import { type ProbeOptions, type ProbeResult, runProbes } from '../netns/probe.ts';
import { canonical } from '../netns/sockaddr.ts';
import { tableFingerprint } from '../netns/table-fingerprint.ts';
import type { Probe } from '../ruleset/probe.ts';

/** What capture does to the kernel, injectable so that every way to fail can be tested. All but `open` and `enter` act on the current netns. */
export interface NetnsEffects {
  readonly nft: Nft;
  readonly open: (path: string) => Netns;
  readonly enter: <T>(netns: Netns, work: () => T) => T;
  readonly addresses: () => readonly string[];
  readonly readMark: () => Mark;
  readonly writeMark: (text: string) => void;
  readonly clearMark: () => void;
  readonly runProbes: (probes: readonly Probe[], options: ProbeOptions) => readonly ProbeResult[];
  /** A digest of all the kernel holds of a table. */
  readonly fingerprint: (table: string) => string | undefined;
  /** Fingerprints of tables that were read back in full and found right, by policy hash. */
  readonly verified: Map<string, string>;
  /** Monotonic. */
  readonly nowMs: () => number;
}

/** The kernel itself. Call once, before anything enters a netns. */
export async function kernelEffects(): Promise<NetnsEffects> {
  await warmThreadPool();
  return {
    nft: loadLibnftables(),
    open: openNetns,
    enter: enterNetns,
    addresses: addressesHere,
    readMark,
    writeMark,
    clearMark,
    runProbes,
    fingerprint: tableFingerprint,
    verified: new Map(),
    nowMs: () => performance.now(),
  };
}

/** Inside a netns: throws unless it holds one of the pod's addresses, or none is known. Guards against a path that now leads to another pod. */
export function requireMember(
  request: { readonly netnsPath: string; readonly podIPs: readonly string[] },
  effects: NetnsEffects,
): void {
  const { netnsPath, podIPs } = request;
  if (podIPs.length === 0) return;
  const here = new Set(effects.addresses().map(canonical));
  if (podIPs.some((ip) => here.has(canonical(ip)))) return;
  throw new ControllerError(
    'NetnsForeign',
    `netns ${netnsPath} holds none of the pod's addresses ${podIPs.join(', ')}`,
    {
      fields: { netns: netnsPath, found: [...here].join(' ') },
    },
  );
}
