import type { PluginClock } from './clock.ts';

/** Time that passes when a test says so. */
export interface FakeClock extends PluginClock {
  /** Calls what is due by then, in the order of its time. */
  advance(ms: number): void;
  /** The waits that are left: how long each still is. */
  waitsMs(): readonly number[];
}

export function createFakeClock(): FakeClock {
  const timers = new Set<{ readonly dueMs: number; readonly act: () => void }>();
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    after: (ms, act) => {
      const timer = { dueMs: nowMs + ms, act };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance: (ms) => {
      const untilMs = nowMs + ms;
      for (;;) {
        const due = [...timers].filter(({ dueMs }) => dueMs <= untilMs).toSorted((a, b) => a.dueMs - b.dueMs)[0];
        if (due === undefined) break;
        timers.delete(due);
        nowMs = due.dueMs;
        due.act();
      }
      nowMs = untilMs;
    },
    waitsMs: () => [...timers].map(({ dueMs }) => dueMs - nowMs),
  };
}
