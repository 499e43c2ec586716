/** The one place where the agent's time comes from. */
export function nowMs(): number {
  return performance.now();
}

export function wallClock(): Date {
  return new Date();
}

/** Ends after the time or when the signal aborts, whichever comes first; never throws. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

export function startTimer(delayMs: number, fire: () => void): { cancel(): void } {
  const timer = setTimeout(fire, delayMs);
  return { cancel: () => clearTimeout(timer) };
}
