import type { Series } from '../result.ts';
import { spread } from '../spread.ts';
import { linearAxis, logAxis } from './axis.ts';
import { formatNumber, formatTick } from './format.ts';
import { colour, element, label, line, svg, tickWidthPx, widthOf } from './svg.ts';

export interface PlotInput {
  readonly title: string;
  readonly unit: string;
  readonly axis: 'log' | 'linear';
  readonly series: readonly Series[];
}

const WIDTH = 900;
const [TOP, ROW, BOTTOM, GAP] = [44, 40, 52, 12];
/** More would only be more ink. */
const POINTS_MAX = 300;

/** A row for each series: every value a dot, the middle half a box, the median a bar with its number, p90 a tick. */
export function stripPlot({ title, unit, axis: kind, series }: PlotInput): string {
  const left = GAP + Math.max(...series.map(({ name }) => widthOf(name))) + GAP;
  const right = WIDTH - 92;
  const height = TOP + series.length * ROW + BOTTOM;
  const values = series.flatMap((one) => one.values);
  const [min, max] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  const range = { min, max, fromPx: left, toPx: right, labelPx: tickWidthPx };
  const axis = kind === 'log' ? logAxis(range) : linearAxis(range);
  const floor = height - BOTTOM + 4;
  const grid = axis.ticks.flatMap((tick) => [
    line(axis.at(tick), TOP - 6, axis.at(tick), floor, { class: 'grid' }),
    label(formatTick(tick), { x: axis.at(tick), y: floor + 16, 'text-anchor': 'middle', class: 'soft' }),
  ]);
  const paint = paintOf(series);
  const rows = series.flatMap((one, index) =>
    row(one, { y: TOP + index * ROW + ROW / 2, at: axis.at, left, right, paint: paint(one) }),
  );
  const how = kind === 'log' ? ', logarithmic' : '';
  return svg({
    width: WIDTH,
    height,
    title: `${title}, ${unit}`,
    body: [
      label(title, { x: GAP, y: 24, class: 'head' }),
      label(`p50, ${unit}`, { x: right + GAP, y: 24, class: 'soft' }),
      ...grid,
      ...rows,
      label(`${unit}${how} · dot: one value · box: middle half · bar: p50 · tick: p90`, {
        x: (left + right) / 2,
        y: height - 12,
        'text-anchor': 'middle',
        class: 'soft',
      }),
    ],
  });
}

function row(
  { name, values }: Series,
  at: {
    readonly y: number;
    readonly at: (value: number) => number;
    readonly left: number;
    readonly right: number;
    readonly paint: string;
  },
): readonly string[] {
  const { y, left, right, paint } = at;
  const { p25, p50, p75, p90 } = spread(values);
  const dots = thinned(values).map((value, index) =>
    element('circle', {
      cx: at.at(value),
      cy: y + scatter(index),
      r: 2.2,
      class: paint,
      fill: 'currentColor',
      'fill-opacity': '0.35',
    }),
  );
  return [
    label(name, { x: left - GAP, y: y + 4, 'text-anchor': 'end' }),
    ...dots,
    element('rect', {
      x: at.at(p25),
      y: y - 9,
      width: Math.max(1, at.at(p75) - at.at(p25)),
      height: 18,
      class: paint,
      fill: 'currentColor',
      'fill-opacity': '0.18',
      stroke: 'currentColor',
      'stroke-width': '1.2',
    }),
    line(at.at(p50), y - 12, at.at(p50), y + 12, { class: paint, stroke: 'currentColor', 'stroke-width': 3 }),
    line(at.at(p90), y - 6, at.at(p90), y + 6, { class: paint, stroke: 'currentColor', 'stroke-width': 1.5 }),
    label(formatNumber(p50), { x: right + GAP, y: y + 4 }),
  ];
}

/** Ours apart from what it is compared with; all alike where nothing says whose they are. */
function paintOf(series: readonly Series[]): (one: Series) => string {
  const isOurs = ({ name }: Series): boolean => /(^|, )ours\b/.test(name);
  const mixed = series.some(isOurs);
  return (one) => colour(!mixed || isOurs(one) ? 0 : 1);
}

/** The extremes stay. */
function thinned(values: readonly number[]): readonly number[] {
  if (values.length <= POINTS_MAX) return values;
  const sorted = values.toSorted((a, b) => a - b);
  return Array.from(
    { length: POINTS_MAX },
    (_, index) => sorted[Math.round((index * (sorted.length - 1)) / (POINTS_MAX - 1))] ?? 0,
  );
}

/** Up and down by the golden ratio: neighbours never share a height, and every run draws the same picture. */
function scatter(index: number): number {
  return (((index * 0.618_033_988_75) % 1) - 0.5) * 22;
}
