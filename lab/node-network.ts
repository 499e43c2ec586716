import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command, tryCommand } from './command.ts';
import { network } from './paths.ts';
import type { Runtime } from './runtime.ts';

/** Settings that the lab, kubelet or the bridge plugin change; `up` notes them, `down` puts them back. */
const SYSCTLS = [
  'net/ipv4/ip_forward',
  'net/ipv6/conf/all/forwarding',
  'net/bridge/bridge-nf-call-iptables',
  'net/bridge/bridge-nf-call-ip6tables',
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
  'net/netfilter/nf_conntrack_max',
  'fs/inotify/max_user_instances',
] as const;
/** Each sidecar takes some, all as one user: with the kernel's 128 the proxies of some 40 pods use them up, and the next ones crash. */
const INOTIFY_INSTANCES = '1024';

/** The present values of everything in /proc/sys that the lab changes. */
export function readSysctls(): Record<string, string> {
  const present = SYSCTLS.filter((name) => existsSync(join('/proc/sys', name)));
  return Object.fromEntries(present.map((name) => [name, readFileSync(join('/proc/sys', name), 'utf8').trim()]));
}

/** Writes back what `readSysctls` returned; a value the kernel refuses is left. */
export function restoreSysctls(values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (existsSync(join('/proc/sys', name)) && readFileSync(join('/proc/sys', name), 'utf8').trim() !== value)
      setSysctl(name, value);
  }
}

/** What a node with many pods needs of its kernel. */
export function raiseNodeLimits(): void {
  setSysctl('fs/inotify/max_user_instances', INOTIFY_INSTANCES);
}

/** The bridge with the node's addresses: kubelet wants to find its address on an interface before it starts. */
export async function makeBridge(): Promise<void> {
  const { bridge } = network;
  if (!existsSync(`/sys/class/net/${bridge}`)) await command(['ip', 'link', 'add', bridge, 'type', 'bridge']);
  await command(['ip', 'link', 'set', bridge, 'up']);
  await command(['ip', 'addr', 'replace', `${network.nodeIpv4}/16`, 'dev', bridge]);
  // nodad: an address that is still being checked for duplicates cannot be listened on.
  await command(['ip', 'addr', 'replace', `${network.nodeIpv6}/64`, 'dev', bridge, 'nodad']);
  setSysctl('net/ipv4/ip_forward', '1');
  setSysctl('net/ipv6/conf/all/forwarding', '1');
  // Without these a reply between two pods of the bridge would not pass the translation back to the Service's address.
  for (const name of ['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables']) setSysctl(join('net/bridge', name), '1');
}

/** Removes the bridge, and with it the host's ends of veth pairs that hung on it. */
export async function removeBridge(): Promise<void> {
  const { stdout } = await tryCommand(['ip', '-j', 'link', 'show', 'master', network.bridge]);
  for (const name of stdout.matchAll(/"ifname":"(veth[^"]+)"/g))
    await tryCommand(['ip', 'link', 'delete', name[1] ?? '']);
  await tryCommand(['ip', 'link', 'delete', network.bridge]);
}

const SHARED_FOLDERS: Readonly<Record<Runtime, readonly string[]>> = {
  containerd: ['/run/netns', '/run/containerd'],
  // It looks for the mount of /var/run/netns by that name, and finds none but the root's.
  'containerd-1.6': ['/', '/run/netns', '/run/containerd'],
  docker: ['/run/netns', '/run/docker', '/run/cri-dockerd'],
};

/** Mounts below these must propagate into containers (HostToContainer), as they do on every systemd host. */
export function sharedFolders(runtime: Runtime): readonly string[] {
  return SHARED_FOLDERS[runtime];
}

/** Makes the folder a shared mount of its own unless it lies in one. */
export async function shareFolder(folder: string): Promise<void> {
  await command(['mkdir', '-p', folder]);
  if (await isShared(folder)) return;
  if (folder === '/') {
    await command(['mount', '--make-shared', folder]);
    return;
  }
  await command(['mount', '--rbind', folder, folder]);
  await command(['mount', '--make-rshared', folder]);
}

/** The folders that will become mounts of their own because of the lab. */
export async function unsharedFolders(runtime: Runtime): Promise<string[]> {
  const folders = sharedFolders(runtime);
  const shared = await Promise.all(folders.map(isShared));
  return folders.filter((_, index) => shared[index] !== true);
}

async function isShared(folder: string): Promise<boolean> {
  const { stdout } = await tryCommand(['findmnt', '-no', 'PROPAGATION', '--target', folder]);
  return stdout.includes('shared');
}

function setSysctl(name: string, value: string): void {
  try {
    writeFileSync(join('/proc/sys', name), value);
  } catch {
    // Not there, or not ours to set in this kind of machine; what depends on it says so itself.
  }
}
