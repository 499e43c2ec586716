import { readFileSync } from 'node:fs';

/** Resident memory of a process by what it is, in MiB. */
export interface Resident {
  readonly total: number;
  /** Pages of programs and libraries, shared with every other process that maps them. */
  readonly files: number;
  /** What malloc holds: the heap and the arenas of threads. */
  readonly malloc: number;
  /** V8's heap, its code, and the rest. */
  readonly other: number;
}

/** Reads `/proc/PID/smaps`. */
export function resident(pid: number): Resident {
  const sums = { total: 0, files: 0, malloc: 0, other: 0 };
  let part: Exclude<keyof Resident, 'total'> = 'other';
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const mapping = /^([0-9a-f]+)-[0-9a-f]+ (\S+) \S+ \S+ (\d+) *(.*)$/.exec(line);
    if (mapping !== null) part = partOf(mapping[1] ?? '', mapping[4] ?? '');
    const kib = Number(/^Rss: *(\d+) kB/.exec(line)?.[1] ?? 0);
    sums[part] += kib / 1024;
    sums.total += kib / 1024;
  }
  return sums;
}

function partOf(start: string, name: string): Exclude<keyof Resident, 'total'> {
  if (name.startsWith('/')) return 'files';
  if (name === '[heap]') return 'malloc';
  // malloc gives each thread an arena that begins at a multiple of 64 MiB.
  return name === '' && start.length === 12 && Number.parseInt(start, 16) % (64 * 1024 * 1024) === 0
    ? 'malloc'
    : 'other';
}
