import { readdirSync, readFileSync } from 'node:fs';

/** A process of a pod, as the kernel shows it. Capabilities in hexadecimal. */
export interface LiveProcess {
  readonly pid: number;
  readonly command: string;
  /** Effective uid. */
  readonly uid: number;
  readonly capEff: string;
  readonly capBnd: string;
  readonly noNewPrivs: boolean;
}

/** Every process in the cgroup of a pod that runs on this machine, the one that holds the sandbox included. */
export function processesOf(podUid: string): readonly LiveProcess[] {
  // With the systemd cgroup driver the dashes would be underscores.
  const names = [`pod${podUid}`, `pod${podUid.replaceAll('-', '_')}`];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => names.some((name) => readOrEmpty(`/proc/${pid}/cgroup`).includes(name)))
    .map((pid) => describe(Number(pid)))
    .filter((process) => process !== undefined);
}

function describe(pid: number): LiveProcess | undefined {
  const status = readOrEmpty(`/proc/${pid}/status`);
  const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '';
  const [, effective] = field('Uid').split(/\s+/);
  if (effective === undefined) return undefined;
  return {
    pid,
    command: readOrEmpty(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim(),
    uid: Number(effective),
    capEff: field('CapEff'),
    capBnd: field('CapBnd'),
    noNewPrivs: field('NoNewPrivs') === '1',
  };
}

/** It may end while we look. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
