import { ABSENT, type Drift } from '../backend/backend.ts';

/** Lines that differ, at one place. */
interface Difference {
  readonly where: string;
  readonly lines: readonly DiffLine[];
}

export interface DiffLine {
  readonly sign: '-' | '+';
  readonly text: string;
}

/** Longer chains are told rule by rule: the comparison costs the square of their length. */
const ALIGNED_RULES_MAX = 2_000;

/**
 * Drift as a diff for people: `-` is what should be, `+` is what is there. Rules are compared place by place, so that one rule more makes
 * every later one differ; here rules that only moved along are left out.
 */
export function differences(drift: readonly Drift[]): readonly Difference[] {
  const groups = new Map<string, Drift[]>();
  for (const one of drift) {
    const where = placeOf(one);
    groups.set(where, [...(groups.get(where) ?? []), one]);
  }
  return [...groups]
    .map(([where, group]) => ({ where, lines: linesOf(group) }))
    .filter(({ lines }) => lines.length > 0);
}

/** `chain output rule 3` and its neighbours are one place. */
function placeOf({ where }: Drift): string {
  return where.replace(/ rule \d+$/, '');
}

function linesOf(group: readonly Drift[]): readonly DiffLine[] {
  const [first] = group;
  const whole = first !== undefined && placeOf(first) === first.where;
  // `absent` says something of a table or a chain; of a rule it only says that the list is shorter.
  const kept = (text: string) => whole || text !== ABSENT;
  const expected = group.map((one) => one.expected).filter(kept);
  const found = group.map((one) => one.found).filter(kept);
  return whole || group.length > ALIGNED_RULES_MAX ? sideBySide(expected, found) : aligned(expected, found);
}

function sideBySide(expected: readonly string[], found: readonly string[]): readonly DiffLine[] {
  return [
    ...expected.map((text) => ({ sign: '-' as const, text })),
    ...found.map((text) => ({ sign: '+' as const, text })),
  ];
}

/** What is left once the longest common sequence is taken out of both. */
function aligned(expected: readonly string[], found: readonly string[]): readonly DiffLine[] {
  const common = commonLengths(expected, found);
  const lines: DiffLine[] = [];
  let [left, right] = [0, 0];
  while (left < expected.length || right < found.length) {
    const [missing, extra] = [expected[left], found[right]];
    if (missing !== undefined && missing === extra) {
      left += 1;
      right += 1;
    } else if (missing !== undefined && (common[left + 1]?.[right] ?? 0) >= (common[left]?.[right + 1] ?? -1)) {
      lines.push({ sign: '-', text: missing });
      left += 1;
    } else {
      lines.push({ sign: '+', text: extra ?? '' });
      right += 1;
    }
  }
  return lines;
}

/** Length of the longest common sequence of what follows each pair of places. */
function commonLengths(expected: readonly string[], found: readonly string[]): readonly (readonly number[])[] {
  const table = Array.from({ length: expected.length + 1 }, () => Array.from({ length: found.length + 1 }, () => 0));
  for (let left = expected.length - 1; left >= 0; left -= 1) {
    const [row = [], below = []] = [table[left], table[left + 1]];
    for (let right = found.length - 1; right >= 0; right -= 1) {
      const same = expected[left] === found[right];
      row[right] = same ? (below[right + 1] ?? 0) + 1 : Math.max(below[right] ?? 0, row[right + 1] ?? 0);
    }
  }
  return table;
}
