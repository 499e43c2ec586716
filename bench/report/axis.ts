/** Where a value lies between two pixels, and which values get a line of the grid. */
export interface Axis {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

export interface AxisRange {
  readonly min: number;
  readonly max: number;
  readonly fromPx: number;
  readonly toPx: number;
}

const TICKS_MAX = 9;

/** From a round value below the least to one above the greatest. Values at or below 0 lie at the axis' end. */
export function logAxis({ min, max, fromPx, toPx }: AxisRange): Axis {
  const positive = min > 0 ? min : max / 1_000;
  const low = Math.max(...roundValues([1, 2, 5], positive / 10, positive));
  const high = Math.min(...roundValues([1, 2, 5], Math.max(max, low * 1.001), max * 10));
  const span = Math.log(high) - Math.log(low);
  const candidates = [[1, 2, 5], [1, 3], [1]].map((steps) => roundValues(steps, low, high));
  return {
    at: (value) => fromPx + ((Math.log(Math.max(value, low)) - Math.log(low)) / span) * (toPx - fromPx),
    ticks: candidates.find((ticks) => ticks.length <= TICKS_MAX) ?? candidates.at(-1) ?? [],
  };
}

/** From 0, for a length that does not begin there deceives. */
export function linearAxis({ max, fromPx, toPx }: Omit<AxisRange, 'min'>): Axis {
  const top = max > 0 ? max : 1;
  const rough = top / 6;
  const step = Math.min(...roundValues([1, 2, 5], rough, rough * 10));
  const count = Math.ceil(top / step - 1e-9);
  return {
    at: (value) => fromPx + (Math.max(0, value) / (count * step)) * (toPx - fromPx),
    ticks: Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12))),
  };
}

/** Of every decade, these multiples that lie in the range, its ends included. */
function roundValues(steps: readonly number[], low: number, high: number): number[] {
  const decades: number[] = [];
  for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)); power += 1) {
    decades.push(power);
  }
  return decades
    .flatMap((power) => steps.map((step) => Number(`${step}e${power}`)))
    .filter((value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9));
}
