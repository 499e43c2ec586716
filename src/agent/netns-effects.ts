import type { Drift } from '../backend/backend.ts';
import type { Backends } from '../backend/backends.ts';
import type { BackendChoice } from '../backend/choose.ts';
import { ControllerError, isControllerError } from '../errors.ts';
import { addressesHere } from '../netns/addresses.ts';
import { clearMark, readMark, writeMark } from '../netns/mark.ts';
import type { Mark } from '../netns/mark-text.ts';
import { enterNetns, type Netns, openNetns, requireMayEnter, warmThreadPool } from '../netns/netns.ts';
import { type ProbeOptions, runProbes } from '../netns/probe.ts';
import type { ProbeResult } from '../netns/probe-result.ts';
import { type AddedRouting, addRouting, cleanRouting, inspectRouting } from '../netns/routing.ts';
import { canonical } from '../netns/sockaddr.ts';
import type { Probe } from '../ruleset/probe.ts';
import type { Routing } from '../ruleset/ruleset.ts';
import { kernelBackends } from './kernel-backends.ts';

/** What capture does to the kernel, injectable so that every way to fail can be tested. All but `open` and `enter` act on the current netns. */
export interface NetnsEffects {
  readonly backends: Backends;
  readonly open: (path: string) => Netns;
  readonly enter: <T>(netns: Netns, work: () => T) => T;
  /** In their shortest form. */
  readonly addresses: () => readonly string[];
  readonly readMark: () => Mark;
  readonly writeMark: (text: string) => void;
  readonly clearMark: () => void;
  /** `fresh`: the netns carries no mark of ours. */
  readonly addRouting: (routing: Routing, options: { readonly fresh: boolean }) => AddedRouting;
  readonly inspectRouting: (routing: Routing) => readonly Drift[];
  /** False if there was nothing of ours. */
  readonly cleanRouting: () => boolean;
  readonly runProbes: (probes: readonly Probe[], options: ProbeOptions) => readonly ProbeResult[];
  /** Monotonic. */
  readonly nowMs: () => number;
}

/** The kernel itself. Call once, before anything enters a netns. */
export async function kernelEffects(
  options: { readonly backend?: BackendChoice | undefined; readonly nowMs?: () => number } = {},
): Promise<NetnsEffects> {
  await warmThreadPool();
  requireMayEnter();
  const { nowMs = () => performance.now() } = options;
  const backends = kernelBackends({ choice: options.backend ?? 'auto', nowMs });
  lookForBackend(backends);
  return {
    backends,
    open: openNetns,
    enter: enterNetns,
    addresses: addressesHere,
    readMark,
    writeMark,
    clearMark,
    addRouting,
    inspectRouting,
    cleanRouting,
    runProbes,
    nowMs,
  };
}

/**
 * In our own netns rather than in the first pod's, whose rules would wait for it and would get other handles than everybody else's. What
 * does not work is told when a netns asks for it.
 */
function lookForBackend(backends: Backends): void {
  try {
    backends.preferred();
  } catch (error: unknown) {
    if (!isControllerError(error)) throw error;
  }
}

/** Inside a netns: throws unless it holds one of the pod's addresses, or none is known. Guards against a path that now leads to another pod. */
export function requireMember(
  request: { readonly netnsPath: string; readonly podIPs: readonly string[] },
  effects: NetnsEffects,
): void {
  const { netnsPath, podIPs } = request;
  if (podIPs.length === 0) return;
  const here = new Set(effects.addresses());
  if (podIPs.some((ip) => here.has(canonical(ip)))) return;
  throw new ControllerError(
    'NetnsForeign',
    `netns ${netnsPath} holds none of the pod's addresses ${podIPs.join(', ')}`,
    {
      fields: { netns: netnsPath, found: [...here].join(' ') },
    },
  );
}
