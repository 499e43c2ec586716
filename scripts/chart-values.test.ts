import { describe, expect, it } from 'vitest';
import { chartValues } from './chart-values.ts';

describe('chartValues', () => {
  it('reads path, default and comment of each value, in order', () => {
    const yaml =
      '# An introduction.\n\n# -- First.\na: 1\nb:\n  # -- Second,\n  c: [x]\n  # A note.\n  # -- Third.\n  d: {e: f}\n';
    expect(chartValues(yaml)).toEqual([
      { path: ['a'], fallback: 1, description: 'First.' },
      { path: ['b', 'c'], fallback: ['x'], description: 'Second,' },
      { path: ['b', 'd'], fallback: { e: 'f' }, description: 'Third.' },
    ]);
  });

  it.each([
    ['a value without a comment', 'a: 1\n', /^values\.yaml: a has no comment/],
    ['a value within a group', '# -- A.\na: 1\nb:\n  c: 2\n', /^values\.yaml: b\.c has no comment/],
    ['an empty group', 'a: {}\n', /^values\.yaml: a has no comment/],
    ['what is not YAML', 'a: [\n', /at line 2/],
    ['a list', '- a\n', /is not a map/],
  ])('refuses %s', (_title, yaml, message) => {
    expect(() => chartValues(yaml)).toThrow(message);
  });
});
