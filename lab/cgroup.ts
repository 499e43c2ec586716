import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, type Dirent } from 'node:fs';
import { join } from 'node:path';
import { cgroupName } from './paths.ts';

/**
 * Every process of the lab is born in a cgroup below ours: its own daemons, the shims they start, and the pods (kubelet's cgroupRoot).
 * So what runs there is exactly what the lab started, even if a script was killed before it could write that down.
 */
const MOUNT = '/sys/fs/cgroup';
const UNIFIED = existsSync(join(MOUNT, 'cgroup.controllers'));

/** The hierarchy that is asked for processes; pods are in all of them. */
const HIERARCHY = UNIFIED ? MOUNT : join(MOUNT, 'pids');

/** Makes our cgroup in every hierarchy (kubelet demands that its root exists in each); returns where daemons belong. */
export function makeCgroups(): string {
  for (const root of roots()) mkdirSync(root, { recursive: true });
  const daemons = join(HIERARCHY, cgroupName, 'daemons');
  mkdirSync(daemons, { recursive: true });
  return daemons;
}

/** Pids of every process of the lab. */
export function processesOfLab(): number[] {
  return walk(join(HIERARCHY, cgroupName)).flatMap((folder) =>
    readOrEmpty(join(folder, 'cgroup.procs')).split('\n').filter(Boolean).map(Number),
  );
}

/** Removes our cgroups, deepest first; false while one is still busy. */
export function removeCgroups(): boolean {
  let done = true;
  for (const folder of roots().flatMap(walk).reverse()) {
    try {
      rmdirSync(folder);
    } catch {
      done = done && !existsSync(folder);
    }
  }
  return done;
}

/** True if any of our cgroups exists. */
export function cgroupsExist(): boolean {
  return roots().some((root) => existsSync(root));
}

function roots(): string[] {
  if (UNIFIED) return [join(MOUNT, cgroupName)];
  // cpu and cpuacct may be links to one folder; named hierarchies such as systemd's and the unified one count too.
  return folders(MOUNT).map((hierarchy) => join(MOUNT, hierarchy.name, cgroupName));
}

/** The folder and all below it, parents first. */
function walk(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return [folder, ...folders(folder).flatMap((entry) => walk(join(folder, entry.name)))];
}

function folders(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  } catch {
    return [];
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
