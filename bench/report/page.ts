import type { Plot, Result, Series, Table } from '../result.ts';
import { CONFIDENCE, spread } from '../spread.ts';
import { formatNumber } from './format.ts';
import { inCell, markdownTable } from './markdown.ts';
import { ratioLine } from './summary.ts';
import { ratioIn, renderTargets } from './targets.ts';

/** The page of all results. `titles` names the questions. */
export function renderPage(results: readonly Result[], titles: ReadonlyMap<string, string>): string {
  const questions = [...new Set(results.map(({ question }) => question))].toSorted();
  const sections = questions.map((id) => {
    const own = results.filter(({ question }) => question === id);
    // One run of a question, one machine.
    const machines = new Set(own.map(machineText));
    return [`## (${id}) ${titles.get(id) ?? id}`, '', ...machines, '', ...own.flatMap(renderResult)].join('\n');
  });
  return [
    '<!-- Written by bench/main.ts from bench/results/*.json. Do not edit: measure again, or `node bench/main.ts --report-only`. -->',
    '# Results',
    '',
    'Every comparison was measured side by side, in turn, in one run on one machine: what counts are the ratios, not the absolute numbers.',
    `Brackets hold the ${CONFIDENCE * 100} % interval: of a median by order statistics, of a ratio of medians by resampling. p99 is given from 100 values on.`,
    'Raw values, in the order they were measured, lie in `bench/results/`.',
    '',
    ...renderTargets(results),
    '',
    sections.join('\n'),
  ].join('\n');
}

/** A picture of a result: its file, what kind, and the series it shows. */
export interface Drawn {
  readonly file: string;
  readonly plot: Plot;
  readonly series: readonly Series[];
}

/** In order. Series without a value are not shown, and a plot without a series is none. */
export function plotsOf({
  question,
  slug,
  series,
  plots = [{ kind: 'strip', axis: 'log' }],
}: Result): readonly Drawn[] {
  return plots.flatMap((plot) => {
    const shown = series.filter(({ name, values }) => values.length > 0 && (plot.only?.includes(name) ?? true));
    const suffix = plot.slug === undefined ? '' : `-${plot.slug}`;
    return shown.length === 0 ? [] : [{ plot, series: shown, file: `${question}-${slug}${suffix}.svg` }];
  });
}

function renderResult(result: Result): readonly string[] {
  const { title, unit, series, ratios = [], tables = [], facts } = result;
  const pictures = plotsOf(result).flatMap(({ file, plot }) => [
    `![${inCell(plot.caption ?? title)}, ${unit}](results/${file})`,
    '',
  ]);
  return [
    `### ${title}`,
    '',
    ...(series.length === 0 ? [] : [...seriesTable(series, unit), '']),
    ...ratios.map((ratio) => ratioLine(ratio.label, ratioIn(result, ratio))),
    ...(ratios.length === 0 ? [] : ['']),
    ...tables.flatMap((table) => [...renderTable(table), '']),
    ...pictures,
    ...Object.entries(facts).map(
      ([name, value]) => `- ${name}: ${typeof value === 'number' ? formatNumber(value) : value}`,
    ),
    '',
  ];
}

function seriesTable(series: readonly Series[], unit: string): readonly string[] {
  const noted = series.some(({ note }) => note !== undefined);
  const columns = [unit, 'n', 'min', 'p50', '', 'p90', 'p99', 'max', 'IQR', ...(noted ? ['what'] : [])];
  const rows = series.map(({ name, values, note }) => {
    const { count, min, p50, p50Interval, p90, p99, max, iqr } = spread(values);
    const interval = `[${formatNumber(p50Interval.low)}, ${formatNumber(p50Interval.high)}]`;
    const numbers = [min, p50, interval, p90, count < 100 ? Number.NaN : p99, max, iqr].map((one) =>
      typeof one === 'number' ? formatNumber(one) : one,
    );
    return [name, String(count), ...numbers, ...(noted ? [note ?? ''] : [])];
  });
  return markdownTable(columns, rows);
}

function renderTable({ title, columns, rows }: Table): readonly string[] {
  const text = rows.map((row) => row.map((one) => (typeof one === 'number' ? formatNumber(one) : one)));
  return [title, '', ...markdownTable(columns, text)];
}

function machineText({ startedAt, machine }: Result): string {
  const { kernel, cpu, cores, memoryGiB, virtual, loadAverage, versions } = machine;
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const text = `${cores} cores of ${cpu}${virtual ? ' (virtual machine)' : ''}, ${memoryGiB} GiB, Linux ${kernel}`;
  const load = `load average before it began: ${formatNumber(loadAverage)}`;
  return `${startedAt.slice(0, 10)}, ${text}; ${programs.join(', ')}; ${load}.`;
}
