import { ABSENT, type Drift } from '../backend.ts';
import type { Family } from '../../address.ts';
import type { SavedTable } from './saved-rules.ts';
import { type IptablesTable, TABLE_NAMES } from './tables.ts';

/**
 * Compares what `iptables-save` shows of one family with what should be there: every rule of our chains in its place, and our jumps as the
 * first rules of the built-in chains. Counters do not count. An empty result means: no difference.
 */
export function compareIptables(
  wanted: readonly IptablesTable[],
  saved: readonly SavedTable[],
  family: Family,
): readonly Drift[] {
  const names = [...new Set([...TABLE_NAMES, ...saved.map(({ name }) => name)])];
  return names.flatMap((name) => {
    const where = `${family === 4 ? 'ip' : 'ip6'} ${name}`;
    const own = wanted.find((table) => table.name === name);
    const other = saved.find((table) => table.name === name);
    return [...compareChains(own, other, where), ...compareJumps(own, other, where)];
  });
}

function compareChains(wanted: IptablesTable | undefined, saved: SavedTable | undefined, where: string): Drift[] {
  const left = new Map(saved?.chains);
  const drift = (wanted?.chains ?? []).flatMap(({ name, rules }) => {
    const found = left.get(name);
    left.delete(name);
    const place = `${where} chain ${name}`;
    if (found === undefined) return [{ where: place, expected: 'present', found: ABSENT }];
    return lines(rules, found).flatMap(([expected, actual], index) =>
      differ(`${place} rule ${index + 1}`, expected, actual),
    );
  });
  return [
    ...drift,
    ...[...left.keys()].map((name) => ({ where: `${where} chain ${name}`, expected: ABSENT, found: 'present' })),
  ];
}

/** One jump for each hook, and no rule of anybody else before it: that could decide before ours. */
function compareJumps(wanted: IptablesTable | undefined, saved: SavedTable | undefined, where: string): Drift[] {
  const own = wanted?.jumps ?? [];
  const chains = new Set([...own.map(({ from }) => from), ...(saved?.jumps ?? []).map(({ from }) => from)]);
  return [...chains].flatMap((from) => {
    const expected = own.filter((jump) => jump.from === from).map(({ spec }, index) => `rule ${index + 1}: ${spec}`);
    const found = (saved?.jumps ?? [])
      .filter((jump) => jump.from === from)
      .map(({ spec, position }) => `rule ${position}: ${spec}`);
    return lines(expected, found).flatMap(([one, other]) => differ(`${where} chain ${from}`, one, other));
  });
}

function lines(expected: readonly string[], found: readonly string[]): readonly (readonly [string, string])[] {
  const length = Math.max(expected.length, found.length);
  return Array.from({ length }, (_, index) => [expected[index] ?? ABSENT, found[index] ?? ABSENT] as const);
}

function differ(where: string, expected: string, found: string): Drift[] {
  return expected === found ? [] : [{ where, expected, found }];
}
