import { readFileSync } from 'node:fs';

/** USER_HZ: what the kernel counts in towards user space, whatever it counts in itself. */
const MS_PER_TICK = 10;

/**
 * CPU time of this process and of all its children that have ended, with theirs. Unlike the clock, it does not count while others hold the
 * processors. That of children comes in hundredths of a second: only sums of many say something.
 */
export function cpuTimeMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000 + childrenMs(readFileSync('/proc/self/stat', 'utf8'));
}

/** Fields 16 and 17 of proc_pid_stat(5); the second field, the name, may hold blanks. */
export function childrenMs(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return MS_PER_TICK * (Number(fields[13]) + Number(fields[14]));
}
