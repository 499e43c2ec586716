/** Wakes one loop: many beats before it looks are one. */
export interface Pulse {
  beat(): void;
  /** Resolves at the next beat (at once if there was one since the last call), after `timeoutMs`, or when `signal` aborts. */
  next(timeoutMs: number, signal: AbortSignal): Promise<void>;
}

export function createPulse(sleep: (ms: number, signal: AbortSignal) => Promise<void>): Pulse {
  let beaten = false;
  let wake: (() => void) | undefined;
  return {
    beat: () => {
      beaten = true;
      wake?.();
    },
    next: async (timeoutMs, signal) => {
      if (!beaten && !signal.aborted) {
        const woken = new AbortController();
        wake = () => woken.abort();
        await sleep(timeoutMs, AbortSignal.any([signal, woken.signal]));
        wake = undefined;
      }
      beaten = false;
    },
  };
}
