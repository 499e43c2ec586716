import { styleText } from 'node:util';
import { notAllowed } from './given.ts';

export type Output = 'text' | 'json';

/** `-o`: text unless said otherwise. */
export function outputOf(given: string | undefined): Output {
  if (given === undefined || given === 'text') return 'text';
  if (given === 'json') return 'json';
  throw notAllowed('--output', given, 'text or json');
}

/** Prints a value for scripts, or lines for people. */
export function print(output: Output, value: unknown, lines: readonly string[]): void {
  const text = output === 'json' ? JSON.stringify(value, undefined, 2) : lines.join('\n');
  process.stdout.write(`${text}\n`);
}

/** Rows with aligned columns; colour is added by the caller after padding. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Colour only on a terminal, and never with NO_COLOR. */
export function emphasis(style: 'bold' | 'green' | 'red' | 'yellow' | 'dim', text: string): string {
  return styleText(style, text, { stream: process.stdout, validateStream: true });
}
