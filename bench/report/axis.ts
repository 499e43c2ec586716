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
  /** How much of the axis the label of a value takes. */
  readonly labelPx: (value: number) => number;
}

const TICKS_MAX = 9;
const BETWEEN_LABELS_PX = 8;
/** Multiples in a decade that an axis may begin and end with: finer than its lines, so that little of it is empty. */
const ENDS = [1, 1.5, 2, 3, 5, 7];

/** From a round value below the least to one above the greatest. Values at or below 0 lie at the axis' end. */
export function logAxis({ min, max, fromPx, toPx, labelPx }: AxisRange): Axis {
  const positive = min > 0 ? min : max / 1_000;
  const low = Math.max(...roundValues(ENDS, positive / 10, positive));
  const high = Math.min(...roundValues(ENDS, Math.max(max, low * 1.001), max * 10));
  const span = Math.log(high) - Math.log(low);
  const at = (value: number): number =>
    fromPx + ((Math.log(Math.max(value, low)) - Math.log(low)) / span) * (toPx - fromPx);
  const candidates = [ENDS, [1, 2, 5], [1, 3], [1]].map((steps) => roundValues(steps, low, high));
  const fitting = candidates.find((ticks) => ticks.length <= TICKS_MAX && haveRoom(ticks, at, labelPx));
  return { at, ticks: fitting ?? candidates.at(-1) ?? [] };
}

/** From 0, for a length that does not begin there deceives. */
export function linearAxis({ max, fromPx, toPx, labelPx }: Omit<AxisRange, 'min'>): Axis {
  const top = max > 0 ? max : 1;
  const divided = (by: number): Axis => {
    const step = Math.min(...roundValues([1, 2, 5], top / by, (top / by) * 10));
    const count = Math.ceil(top / step - 1e-9);
    return {
      at: (value) => fromPx + (Math.max(0, value) / (count * step)) * (toPx - fromPx),
      ticks: Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12))),
    };
  };
  return [6, 4, 2].map(divided).find(({ at, ticks }) => haveRoom(ticks, at, labelPx)) ?? divided(1);
}

/** No label reaches into the next one. */
function haveRoom(ticks: readonly number[], at: Axis['at'], labelPx: AxisRange['labelPx']): boolean {
  return ticks.every((tick, index) => {
    const next = ticks[index + 1];
    if (next === undefined) return true;
    return Math.abs(at(next) - at(tick)) >= (labelPx(tick) + labelPx(next)) / 2 + BETWEEN_LABELS_PX;
  });
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
