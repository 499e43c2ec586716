import { afterEach, describe, expect, it, vi } from 'vitest';
import { count, COUNTS } from './counts.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('a count', () => {
  it('is what fits into `make bench`', () => {
    vi.stubEnv('BENCH_COUNTS', undefined);
    expect(count('storm')).toBe(COUNTS.storm.usual);
  });

  it('is what was asked for', () => {
    vi.stubEnv('BENCH_COUNTS', 'storm=7,churn=0');
    expect([count('storm'), count('churn'), count('escapes')]).toEqual([7, 0, COUNTS.escapes.usual]);
  });

  it.each([
    ['storms=7', 'there is no such count; there are start-rounds, '],
    ['constructor=7', 'there is no such count; there are start-rounds, '],
    ['toString=7', 'not a count such as'],
    ['storm=-7', 'not a count such as'],
    ['storm', 'not a count such as'],
    ['storm=7 churn=8', 'not a count such as'],
  ])('is refused: %s', (asked, why) => {
    vi.stubEnv('BENCH_COUNTS', asked);
    expect(() => count('escapes')).toThrow(`BENCH_COUNTS: ${asked}: ${why}`);
  });
});
