import type { Cidr, Problem, Selection, Sourced } from './policy.ts';

/** Each rerouted interface is asked for each included range: in iptables, which has no sets, a rule each. */
export const REROUTED_RANGES_MAX = 8_192;

/** Two lists that are each short enough and together are not: a pod must not keep the agent busy for seconds. */
export function rerouteLimit(
  interfaces: Sourced<readonly string[]>,
  { value: ranges }: Sourced<Selection<Cidr>>,
): readonly Problem[] {
  if (ranges.all || interfaces.value.length * ranges.items.length <= REROUTED_RANGES_MAX) return [];
  const most = Math.floor(REROUTED_RANGES_MAX / ranges.items.length);
  const { kind, key, raw } = interfaces.source;
  const allowed = `at most ${most} interfaces together with ${ranges.items.length} included outbound ranges`;
  return [{ key, value: raw, allowed, source: kind }];
}
