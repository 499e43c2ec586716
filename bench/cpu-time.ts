import { readFileSync } from 'node:fs';
import { childrenSeconds } from './process-usage.ts';

/**
 * CPU time of this process and of all its children that have ended, with theirs. Unlike the clock, it does not count while others hold the
 * processors. That of children comes in hundredths of a second: only sums of many say something.
 */
export function cpuTimeMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000 + childrenMs(readFileSync('/proc/self/stat', 'utf8'));
}

/** Out of the text of /proc/PID/stat. */
export function childrenMs(stat: string): number {
  return childrenSeconds(stat) * 1_000;
}
