import { readFileSync } from 'node:fs';

/** A process that cannot be mistaken for a later one with the same pid: `startTicks` is field 22 of /proc/PID/stat. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: string;
}

/** State letter, number of threads and start time out of the text of /proc/PID/stat; undefined if it is not that. */
export function parseStat(
  text: string,
): { readonly state: string; readonly threads: number; readonly startTicks: string } | undefined {
  // The command's name may hold spaces and parentheses, so the fields are counted from the last one.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .trim()
    .split(' ');
  const [state] = fields;
  const threads = Number(fields[17]);
  const startTicks = fields[19];
  if (!text.includes(')') || state === undefined || startTicks === undefined || !/^\d+$/.test(startTicks))
    return undefined;
  return { state, threads, startTicks };
}

/**
 * The identity of a process that exists now and is not a zombie. One whose first thread has ended while others still do shows as a zombie,
 * too, and holds its ports until the last one is gone.
 */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid);
  if (stat === undefined || stat.state === 'X' || (stat.state === 'Z' && stat.threads <= 1)) return undefined;
  return { pid, startTicks: stat.startTicks };
}

/** True while exactly this process runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTicks === identity.startTicks;
}

/** A recorded identity, or undefined if the text is not one (a half-written file counts as no record). */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('startTicks' in value)) return undefined;
    const { pid, startTicks } = value;
    if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 1 || typeof startTicks !== 'string')
      return undefined;
    return { pid, startTicks };
  } catch {
    return undefined;
  }
}

function readStat(pid: number): ReturnType<typeof parseStat> {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}
