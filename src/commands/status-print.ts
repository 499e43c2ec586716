import { rowAsJson, tableHead, type TableOptions, tableRow } from '../status/status-table.ts';
import type { StatusRow } from '../status/status-row.ts';
import { emphasis, table } from './output.ts';

export interface StatusPrinterOptions {
  readonly format: 'text' | 'wide' | 'json' | 'name';
  readonly namespaces: boolean;
  /** With a line of headings. */
  readonly heads: boolean;
  /** Rows go on coming: JSON is one object a line rather than one list. */
  readonly stream: boolean;
}

export interface StatusPrinter {
  /** The list, and with `stream` what changes of it later. */
  print(rows: readonly StatusRow[], nowMs: number): void;
}

/** Prints rows in one of the formats, with colour on a terminal. */
export function createStatusPrinter({ format, namespaces, heads, stream }: StatusPrinterOptions): StatusPrinter {
  let widths: readonly number[] = [];

  function lines(rows: readonly StatusRow[], options: TableOptions): readonly string[] {
    const head = heads && widths.length === 0 ? [tableHead(options)] : [];
    const cells = [...head, ...rows.map((row) => tableRow(row, options))];
    // Later rows keep the columns of the first table.
    widths = widest(cells, widths);
    const padded = table([
      widths.map((width) => ' '.repeat(width)),
      ...cells.map((row) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0))),
    ]);
    return padded
      .slice(1)
      .map((line, at) =>
        head.length > 0 && at === 0 ? emphasis('bold', line) : coloured(line, rows[at - head.length]),
      );
  }

  function write(rows: readonly StatusRow[], nowMs: number): void {
    const texts =
      format === 'name'
        ? rows.map(({ name }) => `pod/${name}`)
        : lines(rows, { wide: format === 'wide', namespaces, nowMs });
    process.stdout.write(texts.map((line) => `${line}\n`).join(''));
  }

  function print(rows: readonly StatusRow[], nowMs: number): void {
    if (format !== 'json') {
      if (rows.length > 0) write(rows, nowMs);
    } else if (stream) {
      process.stdout.write(rows.map((row) => `${JSON.stringify(rowAsJson(row))}\n`).join(''));
    } else {
      process.stdout.write(`${JSON.stringify(rows.map(rowAsJson), undefined, 2)}\n`);
    }
  }

  return { print };
}

function widest(rows: readonly (readonly string[])[], before: readonly number[]): readonly number[] {
  const columns = Math.max(before.length, ...rows.map((row) => row.length));
  return Array.from({ length: columns }, (_, at) =>
    Math.max(before[at] ?? 0, ...rows.map((row) => (row[at] ?? '').length)),
  );
}

const STYLES = {
  initialized: 'green',
  starting: 'yellow',
  waiting: 'yellow',
  failed: 'red',
  deleted: 'dim',
  ignored: 'dim',
} as const;

/** The state in its colour; after padding, which would count the colour. */
function coloured(line: string, row: StatusRow | undefined): string {
  if (row === undefined) return line;
  return line.replace(` ${row.state} `, ` ${emphasis(STYLES[row.state], row.state)} `);
}
