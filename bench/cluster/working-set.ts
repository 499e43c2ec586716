import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const MOUNT = '/sys/fs/cgroup';

/**
 * What a container is charged for, in MiB, less the file pages that nobody has used of late: what `kubectl top` shows and a memory limit is
 * held against. Unlike RSS it does not count a program's pages that another container brought into memory first.
 */
export function workingSetMiB(pid: number): number {
  const { folder, usage, inactive } = memoryCgroup(readFileSync(`/proc/${pid}/cgroup`, 'utf8'));
  const read = (file: string) => readFileSync(join(folder, file), 'utf8');
  const stat = new RegExp(`^${inactive} (\\d+)$`, 'm').exec(read('memory.stat'));
  return (Number(read(usage)) - Number(stat?.[1] ?? Number.NaN)) / 2 ** 20;
}

/** Where the counters are, out of the text of /proc/PID/cgroup: in cgroup v1's hierarchy of memory if there is one, else in v2's only one. */
export function memoryCgroup(text: string): {
  readonly folder: string;
  readonly usage: string;
  readonly inactive: string;
} {
  const v1 = /^\d+:(?:[\w,=]+,)?memory(?:,[\w,=]+)?:(\/.*)$/m.exec(text)?.[1];
  if (v1 !== undefined) {
    return { folder: join(MOUNT, 'memory', v1), usage: 'memory.usage_in_bytes', inactive: 'total_inactive_file' };
  }
  const v2 = /^0::(\/.*)$/m.exec(text)?.[1];
  if (v2 === undefined) throw new Error(`no cgroup that counts memory in ${JSON.stringify(text)}`);
  return { folder: join(MOUNT, v2), usage: 'memory.current', inactive: 'inactive_file' };
}
