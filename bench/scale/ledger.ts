import { type CrewReport, type RequestCount, SLOT_MS } from './protocol.ts';

/** How the list/watches of a process's agents fare, written down as it happens. */
export interface Ledger {
  /** For one list/watch of an agent; the functions are called when its watch was accepted, and when it was interrupted. */
  listWatch(agent: number): { opened(): void; interrupted(why: string): void };
  requested(what: string): void;
  marked(marker: string): void;
  /** Forgets what was counted, but not which watches are open. */
  clear(): void;
  report(): Pick<CrewReport, 'openedMs' | 'requests' | 'troubles' | 'markedMs'>;
}

export interface LedgerOptions {
  readonly agents: number;
  readonly listWatchesPerAgent: number;
  readonly nowMs: () => number;
  readonly onSettled: (settled: boolean) => void;
  /** Every agent has seen it. */
  readonly onMarked: (marker: string) => void;
}

export function createLedger(options: LedgerOptions): Ledger {
  const { agents, listWatchesPerAgent, nowMs } = options;
  const all = agents * listWatchesPerAgent;
  const watches: { readonly agent: number; openedMs: number }[] = [];
  const requests = new Map<string, Map<number, number>>();
  const troubles = new Map<string, number>();
  const markedMs = new Map<string, number[]>();
  let open = 0;

  function listWatch(agent: number): ReturnType<Ledger['listWatch']> {
    const watch = { agent, openedMs: Number.NaN };
    watches.push(watch);
    return {
      opened: () => {
        const before = Number.isNaN(watch.openedMs);
        watch.openedMs = nowMs();
        if (!before) return;
        open += 1;
        if (open === all) options.onSettled(true);
      },
      interrupted: (why) => {
        troubles.set(why, (troubles.get(why) ?? 0) + 1);
        if (Number.isNaN(watch.openedMs)) return;
        watch.openedMs = Number.NaN;
        if (open === all) options.onSettled(false);
        open -= 1;
      },
    };
  }

  return {
    listWatch,
    requested: (what) => {
      const slots = requests.get(what) ?? new Map<number, number>();
      requests.set(what, slots);
      const slot = Math.floor(nowMs() / SLOT_MS);
      slots.set(slot, (slots.get(slot) ?? 0) + 1);
    },
    marked: (marker) => {
      const seen = markedMs.get(marker) ?? [];
      markedMs.set(marker, seen);
      seen.push(nowMs());
      if (seen.length === agents) options.onMarked(marker);
    },
    clear: () => {
      for (const counted of [requests, troubles, markedMs]) counted.clear();
    },
    report: () => ({
      openedMs: latestByAgent(watches, agents),
      requests: [...requests].flatMap(([what, slots]): RequestCount[] =>
        [...slots].map(([slot, count]) => ({ slot, what, count })),
      ),
      troubles: Object.fromEntries(troubles),
      markedMs: Object.fromEntries(markedMs),
    }),
  };
}

/** NaN for an agent one of whose watches is not open: it takes part in every maximum. */
function latestByAgent(watches: readonly { readonly agent: number; readonly openedMs: number }[], agents: number) {
  const latest = Array.from({ length: agents }, () => Number.NEGATIVE_INFINITY);
  for (const { agent, openedMs } of watches) latest[agent] = Math.max(latest[agent] ?? Number.NaN, openedMs);
  return latest;
}
