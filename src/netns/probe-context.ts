/** What the probes of one run share. */
export interface ProbeContext {
  /** What leaves by these interfaces is not captured. */
  readonly exemptInterfaces: readonly string[];
  /** How long to wait for what must arrive. The probes wait for the same moment: broken rules hold them up once, not each. */
  readonly patienceMs: () => number;
}

/** When nothing is expected to arrive, and no other probe's arrival shows that the loopback queue has been drained. */
export const SETTLE_MS = 1;
