/** What has to be true before the agent calls itself ready. Each is set once and stays. */
export interface Readiness {
  /** Both watches have listed. */
  synced: boolean;
  /** Every pod that was there at the start has been reconciled once. */
  reconciled: boolean;
  /** libnftables and the kernel took a dry run. */
  nftWorks: boolean;
}

export type ReadinessPart = keyof Readiness;

export interface Health {
  done(part: ReadinessPart): void;
  /** The loop calls this whenever it has been round; the liveness probe fails when it stops. */
  beat(): void;
  live(): boolean;
  /** What is still missing; empty means ready. */
  missing(): readonly ReadinessPart[];
}

/** Longer than any single synchronous step by far; a loop that is silent for this long hangs. */
const BEAT_TIMEOUT_MS = 60_000;

/** `nowMs` is monotonic. */
export function createHealth(nowMs: () => number): Health {
  const readiness: Readiness = { synced: false, reconciled: false, nftWorks: false };
  let lastBeatMs = nowMs();
  return {
    done: (part) => {
      readiness[part] = true;
    },
    beat: () => {
      lastBeatMs = nowMs();
    },
    live: () => nowMs() - lastBeatMs < BEAT_TIMEOUT_MS,
    missing: () => (['synced', 'reconciled', 'nftWorks'] as const).filter((part) => !readiness[part]),
  };
}
