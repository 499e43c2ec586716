/** One look at what the kernel really does, taken inside the pod's netns by a process that is not the proxy. */
export type Probe = ConnectProbe | QueryProbe | RouteProbe;

/** A TCP connection. */
export interface ConnectProbe {
  readonly kind: 'connect';
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  /**
   * `redirected`: must land on `proxyPort`. `untouched`: must not. `tproxied`: must land there with its addresses as they were; it is sent
   * over `lo` with `mark`, as what the proxy sends to its own pod.
   */
  readonly expect: 'redirected' | 'tproxied' | 'untouched';
  readonly proxyPort: number;
  /** Of its packets; 0: none. */
  readonly mark: number;
  readonly exempt: ExemptOwners;
  /** The setting it proves, for logs and errors: `outbound port 9300 is excluded`. */
  readonly reason: string;
}

/** A DNS query over UDP that must land on `proxyPort`. */
export interface QueryProbe {
  readonly kind: 'query';
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  readonly proxyPort: number;
  /** The conntrack zone that the rules give it. */
  readonly zone: number;
  readonly exempt: ExemptOwners;
  readonly reason: string;
}

/** Packets with `mark` must be delivered to the pod itself, wherever they are bound for. */
export interface RouteProbe {
  readonly kind: 'route';
  readonly family: 4 | 6;
  readonly address: string;
  readonly mark: number;
  readonly reason: string;
}

/** Senders whose traffic the policy does not capture. As one of them, a probe that should be captured shows nothing. */
export interface ExemptOwners {
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  /** Everybody whose gid is not among these; undefined: nobody. */
  readonly unlessGids: readonly number[] | undefined;
}

export const NOBODY_EXEMPT: ExemptOwners = { uids: [], gids: [], unlessGids: undefined };

/** Would the policy let traffic of this sender go? */
export function isExempt(owner: { readonly uid: number; readonly gid: number }, exempt: ExemptOwners): boolean {
  if (exempt.uids.includes(owner.uid) || exempt.gids.includes(owner.gid)) return true;
  return exempt.unlessGids !== undefined && !exempt.unlessGids.includes(owner.gid);
}
