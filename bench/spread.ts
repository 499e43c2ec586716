/** What a list of measurements looks like: percentiles by the nearest rank, the middle half, and how sure the median is. */
export interface Spread {
  readonly count: number;
  readonly min: number;
  readonly p10: number;
  readonly p25: number;
  readonly p50: number;
  readonly p75: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  /** p75 - p25 */
  readonly iqr: number;
  /** 95 %, of the median. */
  readonly p50Interval: Interval;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export const CONFIDENCE = 0.95;
const RESAMPLES = 2_000;

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => nearestRank(sorted, share);
  const [p25, p75] = [at(0.25), at(0.75)];
  return {
    count: sorted.length,
    min: sorted[0] ?? Number.NaN,
    p10: at(0.1),
    p25,
    p50: at(0.5),
    p75,
    p90: at(0.9),
    p99: at(0.99),
    max: at(1),
    iqr: p75 - p25,
    p50Interval: medianInterval(sorted),
  };
}

/** The median of `of` over that of `over`, with an interval by resampling both; the same values give the same interval. */
export function ratioOfMedians(of: readonly number[], over: readonly number[]): Interval & { readonly ratio: number } {
  const random = generator(of.length * 7_919 + over.length);
  const ratios = new Float64Array(RESAMPLES).map(() => resampledMedian(of, random) / resampledMedian(over, random));
  const sorted = [...ratios.sort()];
  return {
    ratio: spread(of).p50 / spread(over).p50,
    low: nearestRank(sorted, (1 - CONFIDENCE) / 2),
    high: nearestRank(sorted, (1 + CONFIDENCE) / 2),
  };
}

/**
 * Of order statistics: how many values lie below the true median is binomial, whatever the distribution. With fewer than six values no
 * two of them hold 95 %; then the interval is all of them.
 */
function medianInterval(sorted: readonly number[]): Interval {
  const count = sorted.length;
  let probability = 0.5 ** count;
  let below = 0;
  let rank = 0;
  // Beyond about 1,000 values, 0.5^n is no number any more; the normal approximation is exact enough long before.
  if (count > 500) {
    rank = Math.floor(count / 2 - 0.98 * Math.sqrt(count));
  } else {
    while (below + probability <= (1 - CONFIDENCE) / 2) {
      below += probability;
      rank += 1;
      probability = (probability * (count - rank + 1)) / rank;
    }
  }
  const low = Math.max(0, rank - 1);
  return { low: sorted[low] ?? Number.NaN, high: sorted[count - 1 - low] ?? Number.NaN };
}

function nearestRank(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

function resampledMedian(values: readonly number[], random: () => number): number {
  const drawn = new Float64Array(values.length).map(() => values[Math.floor(random() * values.length)] ?? Number.NaN);
  return drawn.sort()[Math.ceil(values.length / 2) - 1] ?? Number.NaN;
}

/** mulberry32: small, good enough to draw from a list, and the same every time. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
