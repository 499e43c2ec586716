import { setTimeout as delay } from 'node:timers/promises';
import { LabError, messageOf } from './lab-error.ts';

/** How long and how often to look. */
export interface PollOptions {
  /** What is waited for, for the error. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly intervalMs?: number;
  /** Called before each look; throws to stop at once, for instance because the process is gone. */
  readonly stillPossible?: () => void;
}

/** Looks until `look` returns something other than undefined or false; an exception counts as "not yet". Bounded by `timeoutMs`. */
export async function poll<T>(look: () => Promise<T | undefined | false>, options: PollOptions): Promise<T> {
  const deadlineMs = performance.now() + options.timeoutMs;
  let last = 'nothing yet';
  for (;;) {
    options.stillPossible?.();
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
    } catch (error) {
      last = messageOf(error);
    }
    if (performance.now() > deadlineMs) {
      throw new LabError(`${options.what}: not within ${options.timeoutMs / 1000} s (last: ${last.slice(0, 500)})`);
    }
    await delay(options.intervalMs ?? 200);
  }
}
