/** What must reach the proxy and what must not, for one pod, every value with the place it came from. */
export interface CapturePolicy {
  readonly mode: Sourced<InterceptionMode>;
  /** Where outbound TCP is redirected to. */
  readonly outboundPort: Sourced<number>;
  /** Where inbound TCP is redirected to. */
  readonly inboundPort: Sourced<number>;
  /** HBONE port of Istio: never captured. */
  readonly tunnelPort: Sourced<number>;
  /** Proxy processes are exempt from outbound capture by uid or gid. At least one of each. */
  readonly proxyUids: Sourced<readonly number[]>;
  readonly proxyGids: Sourced<readonly number[]>;
  readonly inboundPorts: Sourced<Selection<number>>;
  /** Only meaningful while `inboundPorts` is `*`, as in Istio. */
  readonly excludeInboundPorts: Sourced<readonly number[]>;
  /** Captured even if their destination is not in `outboundRanges`. */
  readonly outboundPorts: Sourced<readonly number[]>;
  readonly excludeOutboundPorts: Sourced<readonly number[]>;
  readonly outboundRanges: Sourced<Selection<Cidr>>;
  readonly excludeOutboundRanges: Sourced<readonly Cidr[]>;
  readonly excludeInterfaces: Sourced<readonly string[]>;
  /** Traffic that arrives here is treated as outbound (VM and container bridges in the pod). */
  readonly rerouteInterfaces: Sourced<readonly string[]>;
  readonly loopbackRange: Sourced<Cidr>;
  /** Which DNS queries go to the proxy's own DNS server. */
  readonly dns: Sourced<DnsCapture>;
  /** Packets that conntrack can assign to no connection are dropped before they can reset one. */
  readonly dropInvalid: Sourced<boolean>;
  /** Whose outbound traffic is captured, by gid: everybody's, or only that of processes in one of these groups. */
  readonly ownerGroups: Sourced<Selection<number>>;
  /** Groups whose outbound traffic is not captured. Only meaningful while `ownerGroups` is `*`, as in Istio. */
  readonly excludeOwnerGroups: Sourced<readonly number[]>;
  /** Only meaningful with TPROXY: the mark of packets that belong to the proxy, and the route table that delivers them locally. */
  readonly tproxyMark: Sourced<number>;
  readonly tproxyRouteTable: Sourced<number>;
  /** Is IPv6 captured too? Always, unless the operator chose `--ipv6=istio`. */
  readonly ipv6: Sourced<boolean>;
}

/** REDIRECT: nat redirect both ways. TPROXY: inbound keeps its addresses. NONE: the pod takes part, nothing is captured. */
export type InterceptionMode = 'REDIRECT' | 'TPROXY' | 'NONE';

/** Everything (`*`), or a list, which may be empty: nothing. */
export type Selection<T> = { readonly all: true } | { readonly all: false; readonly items: readonly T[] };

/** `servers`: only queries to these addresses, the pod's own name servers; `/32` and `/128` ranges, at least one. */
export type DnsCapture =
  | { readonly kind: 'off' }
  | { readonly kind: 'all' }
  | { readonly kind: 'servers'; readonly servers: readonly Cidr[] };

/** A canonical range: host bits zero, `family` 4 or 6, `address` in Node's shortest form. */
export interface Cidr {
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefix: number;
}

/** A value and where it came from. */
export interface Sourced<T> {
  readonly value: T;
  readonly source: Source;
}

export interface Source {
  readonly kind: 'override' | 'argument' | 'environment' | 'annotation' | 'securityContext' | 'flag' | 'default';
  /** The annotation key, argument (`-b`), variable, field path or flag name; empty for a default of Istio's. */
  readonly key: string;
  /** The raw text it was read from; empty for a default. */
  readonly raw: string;
}

/** One setting that could not be used: which, where, what it said and what is allowed. */
export interface Problem {
  readonly key: string;
  readonly value: string;
  readonly allowed: string;
  readonly source: Source['kind'];
}

export type PolicyResult =
  | { readonly ok: true; readonly policy: CapturePolicy }
  | { readonly ok: false; readonly problems: readonly [Problem, ...Problem[]] };

/** What the operator of the agent sets for every pod that does not say otherwise. `undefined`: Istio's own default. */
export interface CaptureDefaults {
  readonly outboundPort: number | undefined;
  readonly mode: InterceptionMode | undefined;
  readonly inboundPorts: Selection<number> | undefined;
  readonly excludeInboundPorts: readonly number[] | undefined;
  readonly outboundRanges: Selection<Cidr> | undefined;
  readonly excludeOutboundRanges: readonly Cidr[] | undefined;
  /** `istio`: IPv6 only where Istio itself would program it. */
  readonly ipv6: 'both' | 'istio';
}

/** An operator who sets nothing. */
export const NO_DEFAULTS: CaptureDefaults = {
  outboundPort: undefined,
  mode: undefined,
  inboundPorts: undefined,
  excludeInboundPorts: undefined,
  outboundRanges: undefined,
  excludeOutboundRanges: undefined,
  ipv6: 'both',
};
