import { readFileSync } from 'node:fs';

/** What a process has used so far, as the kernel counts it. */
export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly rssMiB: number;
  /** Of `rssMiB`, what is not a file's: pages of its program are shared with every other process that runs it. */
  readonly anonMiB: number;
  /** The largest it has been since it started. */
  readonly peakRssMiB: number;
}

/** USER_HZ: what the kernel counts in towards user space, whatever it counts in itself; 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

export function usageOf(pid: number): ProcessUsage {
  return parseUsage(readFileSync(`/proc/${pid}/stat`, 'utf8'), readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** Out of the texts of /proc/PID/stat and /proc/PID/status. */
export function parseUsage(stat: string, status: string): ProcessUsage {
  const mib = (name: string) =>
    Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1] ?? Number.NaN) / 1024;
  return {
    // utime and stime.
    cpuSeconds: secondsIn(stat, [14, 15]),
    rssMiB: mib('VmRSS'),
    anonMiB: mib('RssAnon'),
    peakRssMiB: mib('VmHWM'),
  };
}

/** Of children that have ended and were waited for, with theirs: cutime and cstime, out of the text of /proc/PID/stat. */
export function childrenSeconds(stat: string): number {
  return secondsIn(stat, [16, 17]);
}

/** The sum of fields of proc_pid_stat(5). The command's name may hold spaces and parentheses, so they are counted from behind it, the third. */
function secondsIn(stat: string, fields: readonly number[]): number {
  const values = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.reduce((sum, field) => sum + Number(values[field - 3]), 0) / TICKS_PER_SECOND;
}
