/** Percentiles of a list of measurements, by the nearest rank. */
export function spread(values: readonly number[]): {
  readonly p10: number;
  readonly p50: number;
  readonly p90: number;
  readonly max: number;
} {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  return { p10: at(0.1), p50: at(0.5), p90: at(0.9), max: at(1) };
}
