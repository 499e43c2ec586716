/** The first column holds names, all others numbers, but for those that are named here. */
const TEXT_COLUMNS: ReadonlySet<string> = new Set(['what', 'met']);

export function markdownTable(columns: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map(inCell).join(' | ')} |`;
  const alignment = columns.map((name, index) => (index === 0 || TEXT_COLUMNS.has(name) ? '---' : '---:'));
  return [line(columns), `|${alignment.join('|')}|`, ...rows.map(line)];
}

export function inCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
