/**
 * How much is measured. `BENCH_FULL=1` takes the counts of the goals, for hours instead of minutes; `BENCH_COUNTS=escapes=40,churn=200`
 * sets single ones. In the environment, because the measuring process is a child of the one that people start.
 */
export const isFull = process.env['BENCH_FULL'] === '1';

/** The count under that name: what was asked for, or what fits into `make bench`. */
export function count(name: string, { usual, full }: { readonly usual: number; readonly full: number }): number {
  const asked = askedCounts().get(name);
  if (asked !== undefined) return asked;
  return isFull ? full : usual;
}

/** Minutes that a question may take: an evening's worth of pods needs an evening. */
export function budgetMinutes({ usual, full }: { readonly usual: number; readonly full: number }): number {
  return isFull || process.env['BENCH_COUNTS'] !== undefined ? full : usual;
}

function askedCounts(): ReadonlyMap<string, number> {
  const parts = (process.env['BENCH_COUNTS'] ?? '').split(',').filter((part) => part !== '');
  return new Map(parts.map(parseCount));
}

function parseCount(part: string): [string, number] {
  const [, name = '', digits = ''] = /^([a-z-]+)=(\d{1,6})$/.exec(part) ?? [];
  if (name === '') throw new Error(`BENCH_COUNTS: ${part}: not a count such as escapes=40`);
  return [name, Number(digits)];
}
