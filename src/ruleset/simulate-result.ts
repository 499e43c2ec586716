import type { Landing } from './packet.ts';
import type { Match, Rule } from './ruleset.ts';

/** A rule that a packet met, in order. */
export interface MetRule {
  readonly hook: 'output' | 'prerouting';
  readonly chain: string;
  /** From 0. */
  readonly index: number;
  readonly rule: Rule;
}

/** A rule that was asked and did not hold. */
export interface PassedRule extends MetRule {
  /** The first of its matches that did not hold; undefined: all held, but nothing listens where it hands packets to. */
  readonly failed: Match | undefined;
  /** How many rules the packet had met by then. */
  readonly metBefore: number;
}

/** Where a packet ends, and how it got there. */
export interface Simulation {
  readonly landing: Landing;
  readonly met: readonly MetRule[];
  /** With `verbose`: the rules that were asked and did not hold, in order. Else empty. */
  readonly passed: readonly PassedRule[];
  /** Of the packet and of its connection, in the end. */
  readonly mark: number;
  readonly connectionMark: number;
  /** Conntrack's zone; 0 unless a rule chose one. */
  readonly zone: number;
}

export interface SimulationOptions {
  /** Does anything listen where tproxy hands packets to? Yes unless said otherwise. */
  readonly hasListener?: boolean;
  /** Also tell of the rules that did not hold. */
  readonly verbose?: boolean;
}
