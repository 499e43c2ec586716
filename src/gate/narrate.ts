import type { Missing } from './observation.ts';

/** A person who looks at the log of a waiting pod finds the reason again within this time. */
export const REPEAT_MS = 30_000;
/** A node agent that is there needs well under a second; this long without a word deserves a hint. */
export const HINT_AFTER_MS = 5_000;
/** Distinct messages printed per 30 s; far more than an agent that changes its mind produces. */
export const DISTINCT_MAX = 32;

const HINT =
  'Is a pod of the DaemonSet istio-pod-network-controller running on this node, and does its log name this pod?';

/** Decides what to print while the gate waits: reasons at once and then every 30 s, never the same line more often. */
export interface Narrator {
  /** @param elapsedMs since the gate began to wait. */
  lines(missing: readonly Missing[], elapsedMs: number): readonly string[];
}

export function createNarrator(): Narrator {
  const saidAtMs = new Map<string, number>();
  let remindAtMs = HINT_AFTER_MS;

  function isDue(text: string, elapsedMs: number): boolean {
    const last = saidAtMs.get(text);
    if (last !== undefined && elapsedMs - last < REPEAT_MS) return false;
    if (last === undefined && saidAtMs.size >= DISTINCT_MAX) {
      // The map is in the order of printing: the first is the oldest.
      const [oldest] = saidAtMs;
      if (oldest === undefined || elapsedMs - oldest[1] < REPEAT_MS) return false;
      saidAtMs.delete(oldest[0]);
    }
    saidAtMs.delete(text);
    saidAtMs.set(text, elapsedMs);
    return true;
  }

  return {
    lines: (missing, elapsedMs) => {
      const lines = missing
        .filter(({ urgent }) => urgent)
        .flatMap(({ text }) => (isDue(text, elapsedMs) ? [text] : []));
      const patient = missing.filter(({ urgent }) => !urgent).map(({ text }) => text);
      if (patient.length === 0 || elapsedMs < remindAtMs) return lines;
      remindAtMs = elapsedMs + REPEAT_MS;
      return [...lines, `still waiting after ${Math.round(elapsedMs / 1000)} s for ${patient.join(' and ')}. ${HINT}`];
    },
  };
}
