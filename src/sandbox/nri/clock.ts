/** Time, so that tests can make it pass. */
export interface PluginClock {
  /** As `performance.now()`: what a hook's deadline is measured by. */
  nowMs(): number;
  /** Calls `act` once, `ms` from now. The returned function calls it off. */
  after(ms: number, act: () => void): () => void;
}

export const systemClock: PluginClock = {
  nowMs: () => performance.now(),
  after: (ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};
