import type { Landing, Packet } from './packet.ts';
import type { Chain, Rule, Ruleset } from './ruleset.ts';
import { holds, isTracked, type PacketAt } from './simulate-match.ts';
import type { MetRule, PassedRule, Simulation, SimulationOptions } from './simulate-result.ts';

/** One hook, as one packet comes to it. */
export interface Visit {
  readonly hook: 'output' | 'prerouting';
  /** Where it arrives at prerouting, where it leaves at output. */
  readonly interface: string;
  /** Are nat chains asked? */
  readonly nat: boolean;
  /** It has been at output before: its connection is known from the start, and keeps its zone. */
  readonly comesBack: boolean;
}

/** Jumps in a ruleset never lead back, and none is deeper than three. The kernel's own limit is 16 (NFT_JUMP_STACK_SIZE). */
const DEPTH_MAX = 16;
const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;
/** NF_IP_PRI_CONNTRACK: chains before it know nothing of connections. */
const CONNTRACK_PRIORITY = -200;

/** What a rule makes of the packet: on to the next one, back to the caller, or an end of the base chain or of the packet. */
type Outcome = 'next' | 'return' | 'accept' | 'drop';

/** A base chain that is being asked. */
interface Place {
  readonly visit: Visit;
  readonly connection: Packet['connection'];
}

/** One packet on its way through the rules of one netns. */
export class Walk {
  readonly #ruleset: Ruleset;
  readonly #packet: Packet;
  readonly #options: SimulationOptions;
  readonly #met: MetRule[] = [];
  readonly #passed: PassedRule[] = [];
  #destination: Packet['destination'];
  #mark: number;
  #connectionMark: number;
  #zone: number | undefined;
  #landing: Landing = { kind: 'passed' };

  constructor(ruleset: Ruleset, packet: Packet, options: SimulationOptions) {
    this.#ruleset = ruleset;
    this.#packet = packet;
    this.#options = options;
    this.#destination = packet.destination;
    this.#mark = packet.mark;
    this.#connectionMark = packet.connection.mark;
  }

  ask(visit: Visit): void {
    const chains = this.#ruleset.chains
      .filter(({ base }) => base?.hook === visit.hook && (base.type !== 'nat' || visit.nat))
      .toSorted((a, b) => (a.base?.priority ?? 0) - (b.base?.priority ?? 0));
    for (const chain of chains) {
      if (this.#landing.kind === 'dropped') return;
      this.#chain(chain, { visit, connection: this.#connectionAt(chain, visit) }, 0);
    }
    // A connection has its zone from its first packet on: what comes back by lo is not asked again.
    if (isTracked(this.#packet)) this.#zone ??= 0;
  }

  isRedirected(): boolean {
    return this.#landing.kind === 'redirected';
  }

  /** Does the netns deliver packets of this mark locally? */
  isMarkedForLo(): boolean {
    const { markedToLocal } = this.#ruleset.routing;
    return markedToLocal?.mark === this.#mark && markedToLocal.families.includes(this.#packet.family);
  }

  end(): Simulation {
    return {
      landing: this.#landing,
      met: this.#met,
      passed: this.#passed,
      mark: this.#mark,
      connectionMark: this.#connectionMark,
      zone: this.#zone ?? 0,
    };
  }

  #chain(chain: Chain, place: Place, depth: number): Outcome {
    for (const [index, rule] of chain.rules.entries()) {
      const at = { hook: place.visit.hook, chain: chain.name, index, rule };
      if (!this.#holds(at, place)) continue;
      this.#met.push(at);
      const outcome = this.#act(rule, place, depth);
      if (outcome === 'return') return 'next';
      if (outcome !== 'next') return outcome;
    }
    return 'next';
  }

  #holds(asked: MetRule, place: Place): boolean {
    const { matches, verdict } = asked.rule;
    const at = this.#at(place);
    const failed = matches.find((match) => !holds(match, at, this.#ruleset.sets));
    // nft_tproxy breaks off, as a match does, without a listener and for packets of the other family.
    const taken = verdict.kind !== 'tproxy' || (this.#isListening() && this.#packet.family === verdict.family);
    if (failed === undefined && taken) return true;
    if (this.#options.verbose === true) this.#passed.push({ ...asked, failed, metBefore: this.#met.length });
    return false;
  }

  #act({ verdict }: Rule, place: Place, depth: number): Outcome {
    switch (verdict.kind) {
      case 'return':
      case 'accept':
        return verdict.kind;
      case 'drop':
        this.#landing = { kind: 'dropped' };
        return 'drop';
      case 'jump': {
        const target = this.#ruleset.chains.find(({ name }) => name === verdict.chain);
        return target === undefined || depth >= DEPTH_MAX ? 'next' : this.#chain(target, place, depth + 1);
      }
      case 'redirect':
        this.#redirect(verdict.port, place);
        return 'accept';
      case 'tproxy':
        this.#mark = verdict.mark;
        // A packet that was redirected at output keeps its new destination: the listener is told of it as of any other redirect.
        this.#landing = { kind: this.#landing.kind === 'redirected' ? 'redirected' : 'tproxied', port: verdict.port };
        return 'accept';
      case 'setMark':
        this.#mark = verdict.mark;
        return 'next';
      case 'saveMark':
        if (isTracked(place)) this.#connectionMark = this.#mark;
        return 'next';
      case 'restoreMark':
        if (isTracked(place)) this.#mark = this.#connectionMark;
        return 'next';
      case 'zone':
        // The first one counts: a packet that has a zone is passed over (nft_ct_set_zone_eval, xt_ct_target).
        this.#zone ??= verdict.zone;
        return 'next';
    }
  }

  /** At output to loopback; at prerouting to the address of the interface, which no rule asks about any more. */
  #redirect(port: number, { visit }: Place): void {
    const address = visit.hook === 'prerouting' ? this.#destination.address : LOOPBACK[this.#packet.family];
    this.#destination = { address, port };
    // tproxy has given the packet its socket already, and a new destination does not take that away again (skb_steal_sock).
    const landed = this.#landing.kind === 'tproxied' ? this.#landing.port : port;
    this.#landing = { kind: 'redirected', port: landed };
  }

  #isListening(): boolean {
    return this.#options.hasListener ?? true;
  }

  /** Before conntrack has seen a packet, it has no connection: nft_ct calls that invalid. */
  #connectionAt({ base }: Chain, { comesBack }: Visit): Packet['connection'] {
    const known = comesBack || (base?.priority ?? 0) > CONNTRACK_PRIORITY;
    return known ? this.#packet.connection : { state: 'invalid', mark: 0 };
  }

  #at({ visit, connection }: Place): PacketAt {
    const { family, protocol, source, owner } = this.#packet;
    const outbound = visit.hook === 'output';
    return {
      family,
      protocol,
      source,
      destination: this.#destination,
      inputInterface: outbound ? undefined : visit.interface,
      outputInterface: outbound ? visit.interface : undefined,
      // Prerouting sees packets of the network: the socket that sent them is no longer known.
      owner: outbound ? owner : undefined,
      mark: this.#mark,
      connection: { state: connection.state, mark: this.#connectionMark },
    };
  }
}
