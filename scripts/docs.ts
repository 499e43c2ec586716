import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { RUN_FLAGS } from '../src/config/flags.ts';
import { ERROR_CODES } from '../src/errors.ts';
import { METRICS } from '../src/telemetry/metrics.ts';

/**
 * The tables of docs/ that come from the code, by file. `node scripts/docs.ts` writes them between their markers; a unit test compares.
 * Everything outside the markers is written by hand.
 */
export function generatedTables(): Readonly<Record<string, string>> {
  return {
    'docs/flags.md': markdown(
      ['flag', 'environment', 'default', 'meaning'],
      Object.values(RUN_FLAGS).map((flag) => [
        `\`--${flag.name} ${flag.placeholder}\``,
        `\`${flag.env}\``,
        flag.fallback === undefined ? 'required' : `\`${JSON.stringify(flag.fallback)}\``,
        flag.brief,
      ]),
    ),
    'docs/errors.md': markdown(
      ['code', 'meaning'],
      Object.entries(ERROR_CODES).map(([code, meaning]) => [`\`${code}\``, meaning]),
    ),
    'docs/metrics.md': markdown(
      ['metric', 'type', 'labels', 'meaning'],
      Object.values(METRICS).map((metric) => [
        `\`istio_pod_network_controller_${metric.name}\``,
        metric.type,
        metric.labels.map((label) => `\`${label}\``).join(', '),
        metric.help,
      ]),
    ),
  };
}

const BEGIN = '<!-- generated: node scripts/docs.ts -->';
const END = '<!-- end -->';

/** The text of a document with its generated part replaced. Throws when the markers are missing. */
export function withTable(document: string, table: string): string {
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END);
  if (from < 0 || to < from) throw new Error(`the markers ${BEGIN} and ${END} are missing`);
  return `${document.slice(0, from)}${BEGIN}\n${table}\n${document.slice(to)}`;
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '..');
  for (const [file, table] of Object.entries(generatedTables())) {
    const path = join(root, file);
    writeFileSync(path, withTable(readFileSync(path, 'utf8'), table));
    process.stdout.write(`${file}\n`);
  }
}
