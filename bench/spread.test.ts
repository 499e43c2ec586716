import { describe, expect, it } from 'vitest';
import { ratioOfMedians, spread } from './spread.ts';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
/** The same every time: the n-th odd multiple of an irrational, from 0 to 1. */
const even = (index: number): number => (index * 0.618_033_988_75) % 1;

describe('spread', () => {
  it('takes percentiles by the nearest rank, in whatever order values come', () => {
    const { count, min, p25, p50, p75, p90, p99, max, iqr } = spread(upTo(200).toReversed());

    expect({ count, min, p25, p50, p75, p90, p99, max, iqr }).toEqual({
      count: 200,
      min: 1,
      p25: 50,
      p50: 100,
      p75: 150,
      p90: 180,
      p99: 198,
      max: 200,
      iqr: 100,
    });
  });

  it('gives the only value for everything', () => {
    expect(spread([7])).toMatchObject({ p25: 7, p50: 7, p99: 7, max: 7, iqr: 0, p50Interval: { low: 7, high: 7 } });
  });

  // Ranks by the binomial distribution in whole numbers.
  it.each([
    { count: 5, low: 1, high: 5 },
    { count: 6, low: 1, high: 6 },
    { count: 10, low: 2, high: 9 },
    { count: 20, low: 6, high: 15 },
    { count: 60, low: 22, high: 39 },
    { count: 100, low: 40, high: 61 },
  ])('knows the median of $count values to lie between ranks $low and $high', ({ count, low, high }) => {
    expect(spread(upTo(count)).p50Interval).toEqual({ low, high });
  });

  it('widens where many values would make a probability too small for a number', () => {
    const { low, high } = spread(upTo(10_000)).p50Interval;

    expect([low, high]).toEqual([4_902, 5_099]);
  });

  it('holds the true median in about 19 of 20 draws', () => {
    const draws = Array.from({ length: 400 }, (_, draw) =>
      spread(Array.from({ length: 21 }, (_unused, index) => even(1 + draw * 131 + index * 37))),
    );
    const held = draws.filter(({ p50Interval: { low, high } }) => low <= 0.5 && 0.5 <= high).length;

    expect(held / draws.length).toBeGreaterThan(0.9);
  });
});

describe('ratioOfMedians', () => {
  const slow = upTo(80).map((index) => 40 + even(index));
  const fast = upTo(80).map((index) => 1 + even(index * 3) / 10);

  it('is the ratio, inside of its interval', () => {
    const { ratio, low, high } = ratioOfMedians(slow, fast);

    expect(ratio).toBeCloseTo(spread(slow).p50 / spread(fast).p50, 9);
    expect(low).toBeLessThanOrEqual(ratio);
    expect(high).toBeGreaterThanOrEqual(ratio);
    expect(high / low).toBeLessThan(1.1);
  });

  it('is the same for the same values, so that a page made anew does not change', () => {
    expect(ratioOfMedians(slow, fast)).toEqual(ratioOfMedians(slow, fast));
  });

  it('grows wider where values scatter', () => {
    const wild = fast.map((value, index) => value * (1 + (index % 7)));
    const [narrow, wide] = [ratioOfMedians(slow, fast), ratioOfMedians(slow, wild)];

    expect(wide.high / wide.low - 1).toBeGreaterThan(2 * (narrow.high / narrow.low - 1));
  });
});
