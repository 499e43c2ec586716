import { type CrewReport, type RequestCount, SLOT_MS } from './protocol.ts';

/** How a crowd of agents came (back) to an API server. Times are milliseconds after it was there, or was started again. */
export interface Herd {
  /** By agent: when both of its watches were open for good. */
  readonly syncedMs: readonly number[];
  /** Of agents one of whose watches was not open at the end. */
  readonly lost: number;
  /** Requests answered in each second, from the first slot of the report on. */
  readonly perSecond: readonly { readonly second: number; readonly requests: number }[];
  /** The most in any second, wherever it begins; and in any tenth of one. */
  readonly peakPerSecond: number;
  readonly peakPerSlot: number;
  /** By verb, resource and status code. */
  readonly requests: Readonly<Record<string, number>>;
  readonly troubles: Readonly<Record<string, number>>;
}

export function herdOf(report: Pick<CrewReport, 'openedMs' | 'requests' | 'troubles'>, fromMs: number): Herd {
  const answered = report.requests.filter(({ what }) => !what.endsWith(' error'));
  const slots = sumBySlot(answered);
  const synced = report.openedMs.filter((openedMs) => !Number.isNaN(openedMs));
  return {
    syncedMs: synced.map((openedMs) => openedMs - fromMs),
    lost: report.openedMs.length - synced.length,
    perSecond: bySecond(slots, fromMs),
    peakPerSecond: peak(slots, 1_000 / SLOT_MS),
    peakPerSlot: peak(slots, 1),
    requests: sumByKind(report.requests),
    troubles: report.troubles,
  };
}

/** The largest sum of so many slots in a row. */
function peak(slots: ReadonlyMap<number, number>, length: number): number {
  let most = 0;
  for (const last of slots.keys()) {
    let sum = 0;
    for (let slot = last - length + 1; slot <= last; slot += 1) sum += slots.get(slot) ?? 0;
    most = Math.max(most, sum);
  }
  return most;
}

function bySecond(slots: ReadonlyMap<number, number>, fromMs: number): Herd['perSecond'] {
  const seconds = new Map<number, number>();
  for (const [slot, count] of slots) {
    const second = Math.floor((slot * SLOT_MS - fromMs) / 1_000);
    seconds.set(second, (seconds.get(second) ?? 0) + count);
  }
  return [...seconds].map(([second, requests]) => ({ second, requests })).toSorted((a, b) => a.second - b.second);
}

function sumBySlot(requests: readonly RequestCount[]): Map<number, number> {
  const slots = new Map<number, number>();
  for (const { slot, count } of requests) slots.set(slot, (slots.get(slot) ?? 0) + count);
  return slots;
}

export function sumByKind(requests: readonly RequestCount[]): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const { what, count } of requests) kinds[what] = (kinds[what] ?? 0) + count;
  return kinds;
}
