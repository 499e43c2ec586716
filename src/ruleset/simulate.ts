import type { Landing, Packet } from './packet.ts';
import type { Chain, Rule, Ruleset } from './ruleset.ts';
import { holds, isTracked, type PacketAt } from './simulate-match.ts';

/** A rule that a packet met, in order. */
export interface MetRule {
  readonly chain: string;
  /** From 0. */
  readonly index: number;
  readonly rule: Rule;
}

/** Where a packet ends, and how it got there. */
export interface Simulation {
  readonly landing: Landing;
  readonly met: readonly MetRule[];
  /** Of the packet and of its connection, in the end. */
  readonly mark: number;
  readonly connectionMark: number;
  /** Conntrack's zone; 0 unless a rule chose one. */
  readonly zone: number;
}

export interface SimulationOptions {
  /** Does anything listen where tproxy hands packets to? Yes unless said otherwise. */
  readonly hasListener?: boolean;
}

/** Jumps in a ruleset never lead back, and none is deeper than three. The kernel's own limit is 16. */
const DEPTH_MAX = 16;
const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;

/**
 * The way of one packet through the rules, as the kernel goes it. Pure and total.
 * - Chains of a hook in the order of their priority; conntrack stands between raw and mangle.
 * - Only the first packet of a connection is asked at nat chains; later ones go where the first one went.
 * - What stays within the pod comes back by `lo` and meets prerouting there, but not its nat chains: nf_nat has decided about the
 *   destination of this connection at output, even if that was to leave it.
 */
export function simulate(ruleset: Ruleset, packet: Packet, options: SimulationOptions = {}): Simulation {
  const walk = new Walk(ruleset, options.hasListener ?? true, packet);
  if (packet.direction === 'inbound') {
    walk.hook('prerouting', { inputInterface: packet.interface, outputInterface: undefined }, { nat: isNew(packet) });
    return walk.end();
  }
  walk.hook('output', { inputInterface: undefined, outputInterface: packet.interface }, { nat: isNew(packet) });
  if (walk.staysInPod(packet.interface)) {
    walk.hook('prerouting', { inputInterface: 'lo', outputInterface: undefined }, { nat: false });
  }
  return walk.end();
}

function isNew({ connection }: Packet): boolean {
  return connection.state === 'new' || connection.state === 'related';
}

type Interfaces = Pick<PacketAt, 'inputInterface' | 'outputInterface'>;

/** What a rule makes of the packet: on to the next one, back to the caller, or an end of the base chain or of the packet. */
type Outcome = 'next' | 'return' | 'accept' | 'drop';

class Walk {
  readonly #ruleset: Ruleset;
  readonly #hasListener: boolean;
  readonly #met: MetRule[] = [];
  readonly #packet: Packet;
  #destination: Packet['destination'];
  #mark: number;
  #connectionMark: number;
  #zone: number | undefined;
  #landing: Landing = { kind: 'passed' };

  constructor(ruleset: Ruleset, hasListener: boolean, packet: Packet) {
    this.#ruleset = ruleset;
    this.#hasListener = hasListener;
    this.#packet = packet;
    this.#destination = packet.destination;
    this.#mark = packet.mark;
    this.#connectionMark = packet.connection.mark;
  }

  hook(hook: 'prerouting' | 'output', interfaces: Interfaces, asked: { readonly nat: boolean }): void {
    const chains = this.#ruleset.chains
      .filter(({ base }) => base?.hook === hook && (base.type !== 'nat' || asked.nat))
      .toSorted((a, b) => (a.base?.priority ?? 0) - (b.base?.priority ?? 0));
    for (const chain of chains) {
      if (this.#landing.kind === 'dropped') return;
      this.#chain(chain, interfaces, 0);
    }
  }

  /** A redirect at output leads to `lo`, whatever the packet was routed to before. */
  staysInPod(outputInterface: string): boolean {
    return outputInterface === 'lo' || this.#landing.kind === 'redirected';
  }

  end(): Simulation {
    return {
      landing: this.#landing,
      met: this.#met,
      mark: this.#mark,
      connectionMark: this.#connectionMark,
      zone: this.#zone ?? 0,
    };
  }

  #chain(chain: Chain, interfaces: Interfaces, depth: number): Outcome {
    for (const [index, rule] of chain.rules.entries()) {
      if (!rule.matches.every((match) => holds(match, this.#at(interfaces), this.#ruleset.sets))) continue;
      const listening = rule.verdict.kind !== 'tproxy' || this.#takes(rule.verdict.family);
      if (!listening) continue;
      this.#met.push({ chain: chain.name, index, rule });
      const outcome = this.#act(rule, interfaces, depth);
      if (outcome === 'return') return 'next';
      if (outcome !== 'next') return outcome;
    }
    return 'next';
  }

  #act({ verdict }: Rule, interfaces: Interfaces, depth: number): Outcome {
    switch (verdict.kind) {
      case 'return':
      case 'accept':
        return verdict.kind;
      case 'drop':
        this.#landing = { kind: 'dropped' };
        return 'drop';
      case 'jump': {
        const target = this.#ruleset.chains.find(({ name }) => name === verdict.chain);
        return target === undefined || depth >= DEPTH_MAX ? 'next' : this.#chain(target, interfaces, depth + 1);
      }
      case 'redirect':
        this.#redirect(verdict.port, interfaces);
        return 'accept';
      case 'tproxy':
        this.#mark = verdict.mark;
        this.#landing = { kind: 'tproxied', port: verdict.port };
        return 'accept';
      case 'setMark':
        this.#mark = verdict.mark;
        return 'next';
      case 'saveMark':
        if (isTracked(this.#packet)) this.#connectionMark = this.#mark;
        return 'next';
      case 'restoreMark':
        if (isTracked(this.#packet)) this.#mark = this.#connectionMark;
        return 'next';
      case 'zone':
        // The first one counts: a packet that has a zone is passed over (nft_ct_set_zone_eval, xt_ct_target).
        this.#zone ??= verdict.zone;
        return 'next';
    }
  }

  /** At output to loopback; at prerouting to the address the packet arrived at, which no rule asks about any more. */
  #redirect(port: number, { outputInterface }: Interfaces): void {
    const address = outputInterface === undefined ? this.#destination.address : LOOPBACK[this.#packet.family];
    this.#destination = { address, port };
    this.#landing = { kind: 'redirected', port };
  }

  /** nft_tproxy breaks off without a listener, and for packets of the other family. */
  #takes(family: 4 | 6): boolean {
    return this.#hasListener && this.#packet.family === family && this.#packet.protocol === 'tcp';
  }

  #at(interfaces: Interfaces): PacketAt {
    const { family, protocol, source, owner, connection } = this.#packet;
    return {
      ...interfaces,
      family,
      protocol,
      source,
      destination: this.#destination,
      // Prerouting sees packets of the network: the socket that sent them is no longer asked for.
      owner: interfaces.outputInterface === undefined ? undefined : owner,
      mark: this.#mark,
      connection: { state: connection.state, mark: this.#connectionMark },
    };
  }
}
