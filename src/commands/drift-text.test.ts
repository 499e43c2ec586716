import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ABSENT, type Drift } from '../backend/backend.ts';
import { differences } from './drift-text.ts';

/** As the backends compare: place by place. */
function driftOf(expected: readonly string[], found: readonly string[]): readonly Drift[] {
  return Array.from({ length: Math.max(expected.length, found.length) }, (_, index) => ({
    where: `chain output rule ${index + 1}`,
    expected: expected[index] ?? ABSENT,
    found: found[index] ?? ABSENT,
  })).filter((one) => one.expected !== one.found);
}

function shown(drift: readonly Drift[]): readonly string[] {
  return differences(drift).flatMap(({ where, lines }) => [where, ...lines.map(({ sign, text }) => `${sign} ${text}`)]);
}

describe('drift as a diff', () => {
  it('names the one rule that came or went, not those that moved along', () => {
    expect(shown(driftOf(['a', 'b', 'c'], ['x', 'a', 'b', 'c']))).toEqual(['chain output', '+ x']);
    expect(shown(driftOf(['a', 'b', 'c'], ['a', 'c']))).toEqual(['chain output', '- b']);
    expect(shown(driftOf(['a', 'b', 'c'], ['a', 'x', 'c']))).toEqual(['chain output', '- b', '+ x']);
    expect(shown(driftOf(['a', 'b'], ['b', 'a'])).length).toBe(3);
  });

  it('keeps places apart, and says what is absent where that is the whole of it', () => {
    const drift = [
      { where: 'table', expected: 'ours', found: ABSENT },
      ...driftOf(['a'], ['b']),
      { where: 'chain input rule 1', expected: 'a', found: 'b' },
    ];
    expect(shown(drift)).toEqual([
      'table',
      '- ours',
      '+ absent',
      'chain output',
      '- a',
      '+ b',
      'chain input',
      '- a',
      '+ b',
    ]);
  });

  it('never hides a difference', () => {
    const rules = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 });
    fc.assert(
      fc.property(rules, rules, (expected, found) => {
        expect(shown(driftOf(expected, found)).length > 0).toBe(expected.join() !== found.join());
      }),
    );
  });
});
