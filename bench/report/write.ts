import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadResults, type Result, RESULTS_FOLDER } from '../result.ts';
import { ecdfPlot, linesPlot } from './curves.ts';
import { type Drawn, plotsOf, renderPage } from './page.ts';
import { stripPlot } from './strip.ts';
import { putSummary, renderSummary } from './summary.ts';

const PAGE = join(RESULTS_FOLDER, '..', 'RESULTS.md');
const DOCUMENT = join(RESULTS_FOLDER, '..', '..', 'docs', 'performance.md');

/** Makes the page, its plots and the document's summary from what was kept. */
export function writeReport(titles: ReadonlyMap<string, string>): void {
  const results = loadResults();
  for (const result of results) {
    for (const drawn of plotsOf(result)) writeFileSync(join(RESULTS_FOLDER, drawn.file), draw(result, drawn));
  }
  writeFileSync(PAGE, renderPage(results, titles));
  writeFileSync(DOCUMENT, putSummary(readFileSync(DOCUMENT, 'utf8'), renderSummary(results)));
}

function draw({ title, unit }: Result, { plot, series }: Drawn): string {
  const input = { title: plot.caption ?? title, unit, axis: plot.axis, series };
  if (plot.kind === 'strip') return stripPlot(input);
  return plot.kind === 'ecdf'
    ? ecdfPlot(input)
    : linesPlot({ ...input, xLabel: plot.xLabel ?? '', xAxis: plot.xAxis ?? 'places' });
}
