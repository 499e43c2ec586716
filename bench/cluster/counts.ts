import type { QuestionId } from '../result.ts';

/**
 * How much is measured. `BENCH_FULL=1` takes the counts of the goals, for hours instead of minutes; `BENCH_COUNTS=escapes=40,churn=200`
 * sets single ones. In the environment, because the measuring process is a child of the one that people start.
 */
export const isFull = process.env['BENCH_FULL'] === '1';

interface Count {
  /** The question that it belongs to. */
  readonly of: QuestionId;
  readonly what: string;
  /** What fits into `make bench`. */
  readonly usual: number;
  /** That of the goal, or what its answer needs. */
  readonly full: number;
}

export const COUNTS = {
  'start-rounds': { of: 'b', what: 'rounds, forth and back through all environments', usual: 2, full: 6 },
  'start-pods': { of: 'b', what: 'pods of a kind in one round', usual: 3, full: 20 },
  storm: { of: 'c', what: 'mesh pods at once', usual: 30, full: 60 },
  'storm-quiet': { of: 'c', what: 'unmeshed pods before the first storm', usual: 8, full: 20 },
  'stopped-pods': { of: 'c', what: 'unmeshed pods while the agent stands still', usual: 16, full: 50 },
  'stopped-rounds': { of: 'c', what: 'times that it stands still', usual: 1, full: 2 },
  'stopped-clean-s': { of: 'c', what: 'seconds for the kernel between two runs', usual: 10, full: 60 },
  escapes: { of: 'd', what: 'pods of each of our ways', usual: 30, full: 1_000 },
  'escapes-others': { of: 'd', what: 'pods of each other way, at most as many', usual: 30, full: 1_000 },
  'agent-pods': { of: 'e', what: 'pods of the fullest node', usual: 110, full: 110 },
  'agent-rest-s': { of: 'e', what: 'seconds at rest before memory is read', usual: 5, full: 60 },
  churn: { of: 'e', what: 'pods churned', usual: 200, full: 10_000 },
  'scale-nodes': { of: 'g', what: 'nodes at most, as far as memory goes', usual: 1_000, full: 3_000 },
} satisfies Readonly<Record<string, Count>>;

type CountName = keyof typeof COUNTS;

/** The count under that name: what was asked for, or what fits into `make bench`. Throws if BENCH_COUNTS names one that does not exist. */
export function count(name: CountName): number {
  const asked = askedCounts().get(name);
  if (asked !== undefined) return asked;
  const { usual, full } = COUNTS[name];
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
  if (!Object.hasOwn(COUNTS, name)) {
    throw new Error(`BENCH_COUNTS: ${part}: there is no such count; there are ${Object.keys(COUNTS).join(', ')}`);
  }
  return [name, Number(digits)];
}
