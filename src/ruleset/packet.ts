import type { ConnectionState } from './ruleset.ts';

/** One packet at the moment it meets the rules of a pod's netns. Addresses are in canonical form. */
export interface Packet {
  /** `outbound`: sent by a process of the pod, also to the pod itself. `inbound`: arrives by an interface other than `lo`. */
  readonly direction: 'inbound' | 'outbound';
  readonly family: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  readonly source: { readonly address: string; readonly port: number };
  readonly destination: { readonly address: string; readonly port: number };
  /** Where it arrives (inbound) or leaves (outbound) by the routes as they are before any rule is met; `lo` for the pod's own addresses. */
  readonly interface: string;
  /** Owner of the sending socket; undefined for inbound packets and for those the kernel sends on its own. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** 0: none. */
  readonly mark: number;
  readonly connection: { readonly state: ConnectionState; readonly mark: number };
}

/**
 * Where a packet ends.
 * - `passed`: where it was going, untouched.
 * - `redirected`: a listener of the pod on `port`, which learns the original destination.
 * - `tproxied`: the same, with its addresses as they were. One that a redirect has changed, too, before or after, counts as `redirected`.
 * - `dropped`: nowhere.
 */
export type Landing =
  | { readonly kind: 'passed' }
  | { readonly kind: 'redirected' | 'tproxied'; readonly port: number }
  | { readonly kind: 'dropped' };
