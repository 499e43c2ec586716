/** One piece of work at a time per key, in the order in which it was asked for. */
export interface KeyLocks {
  exclusively<T>(key: string, work: () => Promise<T>): Promise<T>;
}

/** At most one worker of the queue and the hooks of one pod ask for the same key, so the chains stay short. */
export function createKeyLocks(): KeyLocks {
  const last = new Map<string, Promise<unknown>>();

  async function exclusively<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = last.get(key);
    // Without anybody before us the work starts at once, not a turn of the event loop later.
    const mine = before === undefined ? work() : before.then(work, work);
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  }
  return { exclusively };
}
