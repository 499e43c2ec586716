import type { Result } from '../result.ts';
import { formatNumber } from './format.ts';
import { ratioIn, renderTargets } from './targets.ts';

const [BEGIN, END] = ['<!-- bench: begin -->', '<!-- bench: end -->'];

/** What a document says of all results: the targets, and every comparison in one line. */
export function renderSummary(results: readonly Result[]): readonly string[] {
  const compared = results.filter(({ ratios = [] }) => ratios.length > 0);
  return [
    ...renderTargets(results),
    ...compared.flatMap((result) => [
      '',
      `(${result.question}) ${result.title}, ratios of medians with their 95 % intervals:`,
      ...(result.ratios ?? []).map((ratio) => ratioLine(ratio.label, ratioIn(result, ratio))),
    ]),
  ];
}

export function ratioLine(
  label: string,
  { ratio, low, high }: { readonly ratio: number; readonly low: number; readonly high: number },
): string {
  return `- ${label}: **${formatNumber(ratio)}** [${formatNumber(low)}, ${formatNumber(high)}]`;
}

/** Between the two marks, and nowhere else. */
export function putSummary(document: string, lines: readonly string[]): string {
  const [from, to] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`the document has no place for a summary: ${BEGIN} … ${END}`);
  return [document.slice(0, from + BEGIN.length), ...lines, document.slice(to)].join('\n');
}
