import type { Packet } from './packet.ts';
import { NO_ROUTING, type Rule, type Ruleset, TABLE } from './ruleset.ts';

/** For tests of the simulator: packets, and rulesets of a few rules. */

/** A connection of the application to somebody outside. */
export const app: Packet = {
  direction: 'outbound',
  family: 4,
  protocol: 'tcp',
  source: { address: '198.51.100.10', port: 40_000 },
  destination: { address: '203.0.113.5', port: 80 },
  interface: 'eth0',
  owner: { uid: 1000, gid: 1000 },
  mark: 0,
  connection: { state: 'new', mark: 0 },
};
export const outside: Packet = { ...app, direction: 'inbound', owner: undefined };

export type Place = 'output' | 'prerouting';

export function base(
  hook: Place,
  type: 'nat' | 'filter' | 'route',
  priority: number,
  ...rules: readonly Partial<Rule>[]
) {
  const whole = rules.map((rule) => ({ matches: [], verdict: { kind: 'accept' } as const, reason: 'test', ...rule }));
  return { name: `${hook}${priority}`, base: { type, hook, priority }, rules: whole };
}

export function rules(chains: Ruleset['chains'], sets: Ruleset['sets'] = []): Ruleset {
  return { table: TABLE, policyHash: '0123456789abcdef', sets, chains, routing: NO_ROUTING };
}

export function rule(part: Partial<Rule>): Rule {
  return { matches: [], verdict: { kind: 'accept' }, reason: 'test', ...part };
}
