import { styleText } from 'node:util';

/** A claim of a demonstration that turned out wrong: what was claimed, and what was there instead. */
export class ClaimFailed extends Error {
  override readonly name = 'ClaimFailed';

  constructor(claim: string, found: string) {
    super(`this does not hold: ${claim}\n  found: ${found}`);
  }
}

/** Begins a part of the demonstration. */
export function title(text: string): void {
  line('');
  line(style('bold', `── ${text} ${'─'.repeat(Math.max(2, 100 - text.length))}`));
}

/** A sentence that explains what comes. */
export function note(text: string): void {
  line(`  ${text}`);
}

/** The command whose output follows, with the place and user it runs as where that matters. */
export function prompt(command: string, who = ''): void {
  line(`  ${style('cyan', who === '' ? '$' : `${who} $`)} ${command}`);
}

/** Output of a program, as it was. */
export function output(text: string): void {
  for (const row of text.trimEnd().split('\n')) line(`    ${row}`);
}

/** Checks a claim and says so; throws ClaimFailed with what was found. */
export function claim(text: string, holds: boolean, found: string): void {
  if (!holds) {
    line(`  ${style('red', 'NOT TRUE')}  ${text}`);
    throw new ClaimFailed(text, found);
  }
  line(`  ${style('green', 'true')}  ${text}`);
}

/** Rows with aligned columns; the first row is the head. */
export function table(rows: readonly (readonly string[])[]): void {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  for (const [index, row] of rows.entries()) {
    const text = row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
    line(`    ${index === 0 ? style('bold', text.trimEnd()) : text.trimEnd()}`);
  }
}

const SILENT_MS = 2_000;
const REPEAT_MS = 5_000;

/** Runs something that may take a while: after two seconds it says what is going on, and then every five, with `detail` if given. */
export async function watched<T>(name: string, work: Promise<T>, detail: () => string = () => ''): Promise<T> {
  const beganMs = performance.now();
  const tell = () => note(`… ${name}, ${seconds(performance.now() - beganMs)} ${detail()}`.trimEnd());
  let repeat: NodeJS.Timeout | undefined;
  const first = setTimeout(() => {
    tell();
    repeat = setInterval(tell, REPEAT_MS);
  }, SILENT_MS);
  try {
    return await work;
  } finally {
    clearTimeout(first);
    clearInterval(repeat);
  }
}

/** `12.3 s`. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function line(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Colour only on a terminal, and never with NO_COLOR. */
function style(format: 'bold' | 'cyan' | 'green' | 'red', text: string): string {
  return styleText(format, text, { stream: process.stdout, validateStream: true });
}
