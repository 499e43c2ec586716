import { argumentsOf, environmentOf } from './inputs.ts';
import type { Failure, RunOptions, RunResult } from './run.ts';
import type { Counts } from './tally.ts';
import { trialText } from './trial.ts';

/** The one table, and what went wrong in words for people. */
export function reportText(result: RunResult, options: RunOptions): string {
  const { tally, failures, durationMs } = result;
  const rows = [...tally.bySetting, ['all', tally.total] as const].map(([name, counts]) => [name, ...cells(counts)]);
  const explanations = [...tally.explanations].map(
    ([title, count]) => `  ${count} explained by docs/differences.md: ${title}`,
  );
  return [
    ...aligned([HEAD_ABOVE, HEAD, ...rows]),
    '',
    ...explanations,
    `seed ${options.seed}, backend ${options.backend}, ${options.policies} policies × about ${options.packets} packets, ${(durationMs / 1_000).toFixed(0)} s`,
    ...failures.map((failure) => `\n${failureText(failure, options)}`),
    '',
  ].join('\n');
}

export function reportJson({ tally, failures, durationMs }: RunResult, options: RunOptions): string {
  const report = {
    seed: options.seed,
    backend: options.backend,
    durationMs: Math.round(durationMs),
    total: tally.total,
    settings: Object.fromEntries(tally.bySetting),
    explanations: Object.fromEntries(tally.explanations),
    failures: failures.map((failure) => ({ ...failure, text: failureText(failure, options) })),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

export function failureText(
  { judge, inputs, proxyAway, disagreement, index }: Failure,
  { seed }: { readonly seed: number },
): string {
  const { trial, expected, found, met } = disagreement;
  const env = Object.entries(environmentOf(inputs)).map(([name, value]) => `${name}=${value} `);
  const argv = argumentsOf(inputs).map((word) => (/^[\w.,:/-]+$/.test(word) ? word : `'${word}'`));
  const [left, right] = judge === 'kernel' ? ['simulator', 'kernel'] : [`Istio's rules (${judge})`, 'our rules'];
  return [
    judge === 'kernel' ? 'the simulator is not the kernel:' : "our rules are not Istio's:",
    `  case ${index} of seed ${seed}, shrunk`,
    `  inputs     ${env.join('')}istio-iptables ${argv.join(' ')}`,
    `  resolvers  ${inputs.nameServers.join(' ')}`,
    ...(proxyAway ? ['  proxy      away'] : []),
    `  packet     ${trialText(trial)}`,
    `  ${left}: ${expected}`,
    `  ${right}: ${found}`,
    '  our rules met:',
    ...met.map((one) => `    ${one.chain} ${one.index}  ${one.rule.reason} → ${verdictText(one.rule.verdict)}`),
  ].join('\n');
}

function verdictText({ kind, ...more }: { readonly kind: string }): string {
  return [kind, ...Object.values(more)].join(' ');
}

const HEAD_ABOVE = ['', 'simulator = kernel', '', '', "ours = Istio's nft", '', '', '', '', "ours = Istio's iptables"];
const HEAD = [
  'setting',
  ...['policies', 'packets', 'mismatches'],
  ...['policies', 'packets', 'failed', 'explained', 'unexplained'],
  ...['policies', 'packets', 'failed', 'explained', 'unexplained'],
];

function cells({ kernel, nft, iptables }: Counts): readonly string[] {
  return [kernel, nft, iptables].flatMap((one) => Object.values(one).map(String));
}

/** The first column to the left, numbers to the right; a head above spans what follows it. */
function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = HEAD.map((_, column) => Math.max(...rows.slice(1).map((row) => row[column]?.length ?? 0)));
  return rows.map((row, line) => {
    if (line === 0) return spanned(row, widths);
    return row.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join('  ');
  });
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

function spanned(row: readonly string[], widths: readonly number[]): string {
  let text = '';
  let place = 0;
  for (const [column, width] of widths.entries()) {
    const cell = row[column] ?? '';
    if (cell !== '') text = text.padEnd(place) + cell;
    place += width + 2;
  }
  return text;
}
