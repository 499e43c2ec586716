/** Work by key, as in client-go's workqueue: a key is worked on by one worker at a time, and a key added meanwhile is worked on once more. */
export interface KeyedQueue {
  /** False when the queue is full and the key was not taken; the caller's resync must bring it back. */
  add(key: string): boolean;
  /** Adds the key after a delay; a later call with a shorter delay wins, a longer one is ignored. */
  addAfter(key: string, delayMs: number): void;
  /** Stops taking keys, drops delayed ones, and resolves when the workers are done. */
  drain(): Promise<void>;
  readonly depth: number;
  /** True when nothing waits and nothing is being worked on (delayed keys do not count). */
  readonly idle: boolean;
}

interface Timer {
  readonly atMs: number;
  cancel(): void;
}

export interface QueueOptions {
  readonly workers: number;
  readonly keysMax: number;
  /** Must not throw; it decides itself about a retry. */
  readonly work: (key: string) => Promise<void>;
  readonly nowMs: () => number;
  readonly startTimer: (delayMs: number, fire: () => void) => { cancel(): void };
  readonly onChange?: () => void;
}

export function createQueue(options: QueueOptions): KeyedQueue {
  const waiting = new Set<string>();
  const working = new Set<string>();
  const again = new Set<string>();
  const delayed = new Map<string, Timer>();
  let draining = false;
  let drained: (() => void) | undefined;

  function add(key: string): boolean {
    if (draining) return false;
    delayed.get(key)?.cancel();
    delayed.delete(key);
    if (working.has(key)) {
      again.add(key);
      return true;
    }
    if (!waiting.has(key) && waiting.size >= options.keysMax) return false;
    waiting.add(key);
    pump();
    return true;
  }

  function addAfter(key: string, delayMs: number): void {
    if (draining || waiting.has(key) || again.has(key)) return;
    const atMs = options.nowMs() + delayMs;
    const earlier = delayed.get(key);
    if (earlier !== undefined && earlier.atMs <= atMs) return;
    earlier?.cancel();
    const timer = options.startTimer(delayMs, () => {
      delayed.delete(key);
      if (!add(key)) addAfter(key, FULL_RETRY_MS);
    });
    delayed.set(key, { atMs, cancel: () => timer.cancel() });
  }

  function pump(): void {
    options.onChange?.();
    while (working.size < options.workers) {
      const next = waiting.values().next();
      if (next.done === true) return;
      waiting.delete(next.value);
      working.add(next.value);
      void options.work(next.value).finally(() => finished(next.value));
    }
  }

  function finished(key: string): void {
    working.delete(key);
    if (again.delete(key) && !draining) waiting.add(key);
    if (draining && working.size === 0) drained?.();
    pump();
  }

  return {
    add,
    addAfter,
    drain: () => {
      draining = true;
      waiting.clear();
      for (const timer of delayed.values()) timer.cancel();
      delayed.clear();
      if (working.size === 0) return Promise.resolve();
      return new Promise((resolve) => {
        drained = resolve;
      });
    },
    get depth() {
      return waiting.size;
    },
    get idle() {
      return waiting.size === 0 && working.size === 0 && again.size === 0;
    },
  };
}

/** A full queue is asked again this often for keys whose delay is over. */
const FULL_RETRY_MS = 1_000;
