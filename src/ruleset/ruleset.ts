/**
 * The desired rules as values. nft's own nouns: table, base chain, regular chain, rule, set.
 * Backends render and compare these; nothing from a pod reaches them except numbers, canonical addresses and checked interface names.
 */
export interface Ruleset {
  /** Family `inet`: every rule without an address matches IPv4 and IPv6. */
  readonly table: string;
  /** 16 hex digits over everything below; stands in the table's comment and in the mark. */
  readonly policyHash: string;
  readonly sets: readonly RuleSetDefinition[];
  readonly chains: readonly Chain[];
  /** What else the netns needs besides the table. */
  readonly routing: Routing;
}

/** Addresses and routes that belong to a policy. Both are the netns's own and end with it. */
export interface Routing {
  /** Addresses `lo` must have: Envoy binds to `::6` for inbound passthrough, and the kernel takes no bind to an address it lacks. */
  readonly loopbackAddresses: readonly { readonly family: 6; readonly address: string; readonly prefix: 128 }[];
  /**
   * TPROXY: packets with this mark are delivered locally whatever their address (`ip rule fwmark MARK lookup TABLE`,
   * `ip route add local default dev lo table TABLE`), in these families.
   */
  readonly markedToLocal:
    | { readonly mark: number; readonly routeTable: number; readonly families: readonly (4 | 6)[] }
    | undefined;
}

/** A policy that needs nothing besides the table. */
export const NO_ROUTING: Routing = { loopbackAddresses: [], markedToLocal: undefined };

export type RuleSetDefinition =
  | { readonly name: string; readonly type: 'port'; readonly elements: readonly number[] }
  | {
      readonly name: string;
      readonly type: 'ipv4' | 'ipv6';
      readonly elements: readonly { address: string; prefix: number }[];
    };

export interface Chain {
  readonly name: string;
  /** A base chain hooks into the kernel; a regular chain is only jumped to. */
  readonly base: BaseChain | undefined;
  readonly rules: readonly Rule[];
}

export interface BaseChain {
  readonly type: 'nat' | 'filter' | 'route';
  readonly hook: 'prerouting' | 'output' | 'input';
  /** Netfilter's numeric priority; dstnat is -100, mangle -150, raw -300. */
  readonly priority: number;
}

export interface Rule {
  readonly matches: readonly Match[];
  readonly verdict: Verdict;
  /** Why the rule is there: the setting it comes from. Rendered as the rule's comment; printable ASCII, at most 120 characters. */
  readonly reason: string;
}

/** All matches of a rule must hold. `negate` turns one around. `set` names a set of the same ruleset. */
export type Match =
  | { readonly kind: 'inputInterface' | 'outputInterface'; readonly name: string; readonly negate: boolean }
  | { readonly kind: 'protocol'; readonly protocol: 'tcp' | 'udp' }
  | { readonly kind: 'family'; readonly family: 4 | 6 }
  | {
      readonly kind: 'destinationPort' | 'sourcePort';
      readonly protocol: 'tcp' | 'udp';
      readonly ports: PortTarget;
      readonly negate: boolean;
    }
  | {
      readonly kind: 'sourceAddress' | 'destinationAddress';
      readonly addresses: AddressTarget;
      readonly negate: boolean;
    }
  | { readonly kind: 'socketUid' | 'socketGid'; readonly id: number; readonly negate: boolean }
  | { readonly kind: 'packetMark' | 'connectionMark'; readonly mark: number; readonly negate: boolean }
  | { readonly kind: 'connectionState'; readonly states: readonly ConnectionState[] };

/** Conntrack's opinion of a packet. */
export type ConnectionState = 'new' | 'established' | 'related' | 'invalid' | 'untracked';

export type PortTarget = { readonly port: number } | { readonly set: string };

export type AddressTarget =
  | { readonly family: 4 | 6; readonly address: string; readonly prefix: number }
  | { readonly family: 4 | 6; readonly set: string };

/** What a rule does. The last group lets the packet go on to the next rule; all others end the chain or the way of the packet. */
export type Verdict =
  | { readonly kind: 'return' }
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'redirect'; readonly port: number }
  /** Hands the packet to a listener on `port` without changing its addresses, marks and accepts it. Without a listener the packet goes on. */
  | { readonly kind: 'tproxy'; readonly family: 4 | 6; readonly port: number; readonly mark: number }
  | { readonly kind: 'setMark'; readonly mark: number }
  /** The packet's mark becomes its connection's; the connection's becomes the packet's. */
  | { readonly kind: 'saveMark' | 'restoreMark' }
  /** A conntrack zone of its own: equal tuples in different zones are different connections. */
  | { readonly kind: 'zone'; readonly zone: number };

/** The name of our own table; nothing outside it is ever touched. */
export const TABLE = 'istio_pod_network_controller';
