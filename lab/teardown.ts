import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupsExist, processesOfLab, removeCgroups } from './cgroup.ts';
import { command, tryCommand } from './command.ts';
import { endProcess, recordedDaemons, stopDaemon } from './daemon.ts';
import { remainingTables, removeTables } from './guard.ts';
import { LabError } from './lab-error.ts';
import { removeBridge, restoreSysctls } from './node-network.ts';
import { readOwner, removeRunDirectory, type Owner } from './owner.ts';
import { data, lab, network, run } from './paths.ts';
import { poll } from './poll.ts';
import { identify } from './process-identity.ts';
import { step } from './progress.ts';
import type { Runtime } from './runtime.ts';

/** Folders that the lab's programs make at places that cannot be configured. `up` notes which of them were not there. */
export function fixedFolders(runtime: Runtime): readonly string[] {
  return runtime === 'docker' ? [...FIXED_FOLDERS, ...DOCKER_FOLDERS] : FIXED_FOLDERS;
}

const DOCKER_FOLDERS = ['/run/docker', '/run/cri-dockerd'] as const;
const FIXED_FOLDERS = [
  '/run/containerd',
  '/run/nri',
  '/run/istio-cni',
  '/run/kubernetes',
  '/var/lib/kubelet',
  '/var/lib/cni',
  '/var/log/containers',
  '/opt/containerd',
] as const;

/** Where containerd pins the network namespaces of pods; its names have this form. */
const POD_NETNS = /^cni-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Network namespaces of pods that are pinned now. */
export function podNetns(): string[] {
  return existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => POD_NETNS.test(name)) : [];
}

/**
 * Ends and removes everything a lab left on this machine, of this or a vanished checkout, whole or half-made.
 * The record of the owner goes last: if this is interrupted, it can be done again. Throws LabError if something stays.
 */
export async function teardown(owner: Owner | undefined): Promise<void> {
  await step('ending the processes', endProcesses);
  await step('removing mounts, networks and files', async () => {
    await removeNetns(owner);
    await removeMounts();
    await unshare(owner?.sharedFolders ?? []);
    await removeBridge();
    await removeTables();
    removeLogLinks();
    for (const folder of [data.directory, ...(owner?.folders ?? [])]) removeFolder(folder);
    for (const path of [lab.kubeconfig, lab.containerdSocket, lab.dockerSocket]) rmSync(path, { force: true });
    restoreSysctls(owner?.sysctls ?? {});
    await poll(async () => removeCgroups(), { what: 'the cgroups are empty', timeoutMs: 15_000 });
  });
  const left = await leftovers();
  if (left.length > 0)
    throw new LabError(`the lab is down, but this stayed:\n${left.map((line) => `  - ${line}`).join('\n')}`);
  removeRunDirectory();
}

/** What of a lab is on this machine now, one line each; empty after a clean `down`. */
export async function leftovers(): Promise<string[]> {
  return [
    ...processesOfLab().map((pid) => `process ${pid} (${commandOf(pid)})`),
    ...mountsOfLab().map((path) => `mount ${path}`),
    ...(existsSync(`/sys/class/net/${network.bridge}`) ? [`interface ${network.bridge}`] : []),
    ...(await remainingTables()).map((table) => `nft table ${table}`),
    ...(cgroupsExist() ? ['cgroups'] : []),
    ...(existsSync(data.directory) ? [data.directory] : []),
  ];
}

/** kubelet first, for it would start pods again; then the other daemons; then shims and pods, which only the cgroup knows. */
async function endProcesses(): Promise<void> {
  const names = recordedDaemons();
  for (const name of names.filter((known) => known === 'kubelet')) await stopDaemon(name, { graceMs: 1_000 });
  await Promise.all(names.filter((name) => name !== 'kubelet').map((name) => stopDaemon(name, { graceMs: 1_000 })));
  const allGone = async () => {
    const processes = processesOfLab().flatMap((pid) => identify(pid) ?? []);
    await Promise.all(processes.map((identity) => endProcess(identity, 0).catch(() => undefined)));
    return processesOfLab().length === 0;
  };
  await poll(allGone, { what: 'shims and pods have ended', timeoutMs: 30_000, intervalMs: 100 });
}

async function removeNetns(owner: Owner | undefined): Promise<void> {
  const foreign = new Set(owner?.foreignNetns ?? []);
  for (const name of podNetns().filter((pinned) => !foreign.has(pinned))) {
    await tryCommand(['umount', '-l', join('/run/netns', name)]);
    rmSync(join('/run/netns', name), { force: true });
  }
}

async function removeMounts(): Promise<void> {
  // Deepest first; lazily, for a mount may still be held by a process that is on its way out.
  for (const path of mountsOfLab().sort((a, b) => b.length - a.length)) await command(['umount', '-l', path]);
}

/** A netns of somebody else may still be pinned below /run/netns: then the mount stays. */
async function unshare(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const inUse = folder === '/run/netns' && existsSync(folder) && readdirSync(folder).length > 0;
    if (folder === '/') await tryCommand(['mount', '--make-private', folder]);
    else if (!inUse) await tryCommand(['umount', folder]);
  }
}

function mountsOfLab(): string[] {
  const paths = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  // Somebody's own Docker is left alone.
  const docker = readOwner()?.runtime === 'docker' ? DOCKER_FOLDERS : [];
  const ours = [data.directory, run.directory, '/var/lib/kubelet', '/run/containerd', ...docker];
  return paths
    .map((path) =>
      path.replace(/\\(\d{3})/g, (_match, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
    .filter((path) => ours.some((folder) => path.startsWith(`${folder}/`)));
}

/** kubelet links every container's log from /var/log/containers, whatever `podLogsDir` says. */
function removeLogLinks(): void {
  const folder = '/var/log/containers';
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (lstatSync(path).isSymbolicLink() && readlinkSync(path).startsWith(data.podLogs)) rmSync(path);
  }
}

function removeFolder(folder: string): void {
  if (mountsOfLab().some((path) => path.startsWith(`${folder}/`))) return;
  rmSync(folder, { recursive: true, force: true });
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'ended';
  }
}
