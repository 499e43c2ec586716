import type { Plot } from '../result.ts';
import { spread } from '../spread.ts';
import { type Axis, type AxisRange, linearAxis, logAxis } from './axis.ts';
import { formatTick } from './format.ts';
import type { PlotInput } from './strip.ts';
import { colour, element, label, line, svg, tickHeightPx, tickWidthPx, widthOf } from './svg.ts';

const [WIDTH, HEIGHT] = [900, 380];
const [TOP, BOTTOM, LEFT] = [44, 56, 72];
const LEGEND_ROW = 20;
/** Where lines share a place on the axis, each stands so far beside the next: else their intervals would cover each other. */
const BESIDE = 7;
const DASHES = ['', '7 4', '2 4', '10 3 2 3', '1 3'];

interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Of the median, at each point. */
  readonly bars?: readonly (readonly [x: number, low: number, high: number])[];
}

/** Which share of the values is at most so large. */
export function ecdfPlot({ title, unit, axis, series }: PlotInput): string {
  const curves = series.map(({ name, values }): Curve => {
    const sorted = values.toSorted((a, b) => a - b);
    return { name, points: sorted.map((value, index) => [value, (100 * (index + 1)) / sorted.length]) };
  });
  return draw({
    title,
    curves,
    stairs: true,
    x: { kind: axis, label: unit },
    y: { kind: 'linear', label: '% at most' },
  });
}

/** The median of each series over its place on the x axis, one line for each `at.line`, with the median's interval. */
export function linesPlot(input: PlotInput & Required<Pick<Plot, 'xLabel' | 'xAxis'>>): string {
  const { title, unit, axis, series, xLabel, xAxis } = input;
  const names = [...new Set(series.flatMap(({ at }) => (at === undefined ? [] : [at.line])))];
  const curves = names.map((name): Curve => {
    const own = series.flatMap(({ at, values }) => (at?.line === name ? [{ x: at.x, spread: spread(values) }] : []));
    const sorted = own.toSorted((a, b) => a.x - b.x);
    return {
      name,
      points: sorted.map(({ x, spread: { p50 } }) => [x, p50]),
      bars: sorted.map(({ x, spread: { p50Interval } }) => [x, p50Interval.low, p50Interval.high]),
    };
  });
  return draw({ title, curves, stairs: false, x: { kind: xAxis, label: xLabel }, y: { kind: axis, label: unit } });
}

interface Drawing {
  readonly title: string;
  readonly curves: readonly Curve[];
  readonly stairs: boolean;
  readonly x: { readonly kind: 'log' | 'linear' | 'places'; readonly label: string };
  readonly y: { readonly kind: 'log' | 'linear'; readonly label: string };
}

function draw({ title, curves, stairs, x, y }: Drawing): string {
  const right = WIDTH - 28 - Math.max(...curves.map(({ name }) => widthOf(name)));
  const floor = HEIGHT - BOTTOM;
  const all = curves.flatMap(({ points }) => points);
  const xs = all.map(([value]) => value);
  const ys = [
    ...all.map(([, value]) => value),
    ...curves.flatMap(({ bars }) => (bars ?? []).flatMap(([, a, b]) => [a, b])),
  ];
  const across = axisOf(x.kind, xs, { fromPx: LEFT, toPx: right - 28, labelPx: tickWidthPx });
  const up = axisOf(y.kind, ys, { fromPx: floor, toPx: TOP, labelPx: tickHeightPx });
  const beside = (index: number): number => (x.kind === 'places' ? (index - (curves.length - 1) / 2) * BESIDE : 0);
  const how = (kind: string): string => (kind === 'log' ? ', logarithmic' : '');
  return svg({
    width: WIDTH,
    height: HEIGHT,
    title: `${title}: ${y.label} over ${x.label}`,
    body: [
      label(title, { x: 12, y: 24, class: 'head' }),
      ...up.ticks.flatMap((tick) => [
        line(LEFT, up.at(tick), right - 28, up.at(tick), { class: 'grid' }),
        label(formatTick(tick), { x: LEFT - 8, y: up.at(tick) + 4, 'text-anchor': 'end', class: 'soft' }),
      ]),
      ...across.ticks.flatMap((tick) => [
        line(across.at(tick), floor, across.at(tick), floor + 5, { class: 'grid' }),
        label(formatTick(tick), { x: across.at(tick), y: floor + 20, 'text-anchor': 'middle', class: 'soft' }),
      ]),
      ...curves.flatMap((curve, index) => paint(curve, index, { across: moved(across, beside(index)), up, stairs })),
      ...legend(curves, up, right),
      label(`${x.label}${how(x.kind)}`, {
        x: (LEFT + right) / 2,
        y: HEIGHT - 12,
        'text-anchor': 'middle',
        class: 'soft',
      }),
      label(`${y.label}${how(y.kind)}`, {
        transform: `translate(16 ${(TOP + floor) / 2}) rotate(-90)`,
        'text-anchor': 'middle',
        class: 'soft',
      }),
    ],
  });
}

function axisOf(
  kind: 'log' | 'linear' | 'places',
  values: readonly number[],
  place: Pick<AxisRange, 'fromPx' | 'toPx' | 'labelPx'>,
): Axis {
  const [min, max] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  if (kind === 'log') return logAxis({ min, max, ...place });
  return kind === 'linear' ? linearAxis({ max, ...place }) : placesAxis(values, place);
}

function moved({ at, ticks }: Axis, byPx: number): Axis {
  return { at: (value) => at(value) + byPx, ticks };
}

/** 0, 100, 1,000: side by side at the same distance, as neither a linear nor a logarithmic axis shows them. */
function placesAxis(values: readonly number[], { fromPx, toPx }: Pick<AxisRange, 'fromPx' | 'toPx'>): Axis {
  const ticks = [...new Set(values)].toSorted((a, b) => a - b);
  const step = (toPx - fromPx) / ticks.length;
  return { ticks, at: (value) => fromPx + (ticks.indexOf(value) + 0.5) * step };
}

function paint(
  { points, bars = [] }: Curve,
  index: number,
  { across, up, stairs }: { readonly across: Axis; readonly up: Axis; readonly stairs: boolean },
): readonly string[] {
  const stroke = {
    class: colour(index),
    stroke: 'currentColor',
    'stroke-width': '2',
    fill: 'none',
    'stroke-dasharray': DASHES[index % 5] ?? '',
  };
  const px = points.map(([x, y]) => [across.at(x).toFixed(1), up.at(y).toFixed(1)] as const);
  const [first, ...rest] = px;
  if (first === undefined) return [];
  const path = rest.map(([x, y]) => (stairs ? `H${x}V${y}` : `L${x} ${y}`)).join('');
  return [
    element('path', { d: `M${first.join(' ')}${path}`, ...stroke }),
    ...(stairs
      ? []
      : px.map(([x, y]) =>
          element('circle', { cx: Number(x), cy: Number(y), r: 4, class: colour(index), fill: 'currentColor' }),
        )),
    ...bars.map(([x, low, high]) =>
      line(across.at(x), up.at(low), across.at(x), up.at(high), {
        class: colour(index),
        stroke: 'currentColor',
        'stroke-width': 5,
        'stroke-opacity': '0.35',
      }),
    ),
  ];
}

/** Beside the end of each line, pushed apart where they end together, and up again from the floor. */
function legend(curves: readonly Curve[], up: Axis, right: number): readonly string[] {
  const ends = curves.map(({ points }, index) => ({ index, y: up.at(points.at(-1)?.[1] ?? 0) }));
  let free = TOP;
  const downwards = ends
    .toSorted((a, b) => a.y - b.y)
    .map(({ index, y }) => {
      const place = Math.max(y, free);
      free = place + LEGEND_ROW;
      return { index, place };
    });
  let below = HEIGHT - BOTTOM;
  return downwards.toReversed().flatMap(({ index, place: wanted }) => {
    const place = Math.min(wanted, below);
    below = place - LEGEND_ROW;
    return [
      line(right - 20, place, right - 2, place, {
        class: colour(index),
        stroke: 'currentColor',
        'stroke-width': 2,
        'stroke-dasharray': DASHES[index % 5] ?? '',
      }),
      label(curves[index]?.name ?? '', { x: right + 4, y: place + 4 }),
    ];
  });
}
