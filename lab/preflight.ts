import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { command, tryCommand } from './command.ts';
import { LabError } from './lab-error.ts';
import { step } from './progress.ts';
import { checkRegistries, portProblems, type Port, type Registry } from './preflight-network.ts';

/** What a caller needs from the machine; nothing that is left out is looked at. */
export interface PreflightNeeds {
  /** Debian packages; the missing ones are installed, after one `apt-get update`. */
  readonly packages?: readonly string[];
  readonly go?: boolean;
  readonly cgroups?: boolean;
  /** TCP ports that must be free. */
  readonly ports?: readonly Port[];
  /** Free space at each path, in bytes. The path need not exist yet. */
  readonly freeDisk?: readonly { readonly path: string; readonly bytes: number }[];
  readonly freeMemoryBytes?: number;
  /** Registries that something will be fetched from. */
  readonly registries?: readonly Registry[];
}

const GIB = 1024 ** 3;

/** Packages of every script that enters a netns and writes rules there. */
export const NETNS_PACKAGES = ['nftables', 'libnftables1', 'iproute2'] as const;

/**
 * Checks the machine before anything is begun: root, Linux, amd64, Debian-like, and what `needs` asks for.
 * Throws one LabError that lists everything that is missing. Missing packages are installed only if all else is well.
 */
export async function preflight(needs: PreflightNeeds): Promise<void> {
  const problems = [
    ...platformProblems(),
    ...(needs.go === true && findGo() === undefined ? [GO_MISSING] : []),
    ...(needs.cgroups === true ? cgroupProblems() : []),
    ...memoryProblems(needs.freeMemoryBytes ?? 0),
    ...(needs.freeDisk ?? []).flatMap(diskProblems),
    ...(await portProblems(needs.ports ?? [])),
  ];
  const packages = await missingPackages(needs.packages ?? []);
  const registries = new Set<Registry>([
    ...(needs.registries ?? []),
    ...(packages.length > 0 ? ['debian' as const] : []),
  ]);
  if (problems.length === 0) problems.push(...(await checkRegistries([...registries])));
  if (problems.length > 0) {
    throw new LabError(`this machine cannot do it yet:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`, {
      hint: 'Nothing was started or changed.',
    });
  }
  if (packages.length > 0) await install(packages);
}

/** The Go command, or undefined. */
export function findGo(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/go/bin'];
  return folders.map((folder) => join(folder, 'go')).find((path) => existsSync(path));
}

const GO_MISSING =
  'Go is missing (the lab builds Kubernetes, containerd and Istio from source): unpack Go 1.26 or newer to /usr/local/go, or put `go` on PATH.';

function platformProblems(): string[] {
  const problems: string[] = [];
  if (process.platform !== 'linux') return [`Linux is needed; this is ${process.platform}.`];
  if (process.arch !== 'x64')
    problems.push(`an x86-64 machine is needed (Envoy is packaged for it); this is ${process.arch}.`);
  if (process.getuid?.() !== 0)
    problems.push('root is needed (network namespaces, mounts, nftables): run it with sudo.');
  if (!existsSync('/usr/bin/apt-get')) problems.push('a Debian-like system is needed: there is no apt-get here.');
  return problems;
}

const CGROUP_V1_CONTROLLERS = ['cpu', 'cpuacct', 'cpuset', 'memory', 'pids', 'devices', 'freezer'];

function cgroupProblems(): string[] {
  if (existsSync('/sys/fs/cgroup/cgroup.controllers')) return [];
  const missing = CGROUP_V1_CONTROLLERS.filter((name) => !existsSync(`/sys/fs/cgroup/${name}/tasks`));
  if (missing.length === 0) return [];
  return [`cgroup controllers are not mounted under /sys/fs/cgroup: ${missing.join(', ')}. kubelet needs them.`];
}

function memoryProblems(bytes: number): string[] {
  const match = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  const available = Number(match?.[1] ?? 0) * 1024;
  if (available >= bytes) return [];
  return [`${gib(bytes)} of free memory are needed, ${gib(available)} are available.`];
}

function diskProblems(need: { readonly path: string; readonly bytes: number }): string[] {
  let folder = need.path;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= need.bytes) return [];
  return [`${gib(need.bytes)} free are needed at ${need.path}, there are ${gib(bavail * bsize)}.`];
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}

async function missingPackages(names: readonly string[]): Promise<string[]> {
  if (names.length === 0 || !existsSync('/usr/bin/dpkg-query')) return [];
  const query = ['dpkg-query', '-W', '-f', '${db:Status-Status} ${binary:Package}\n', ...names];
  const { stdout } = await tryCommand(query);
  const installed = stdout.split('\n').filter((line) => line.startsWith('installed '));
  const present = new Set(installed.map((line) => line.slice('installed '.length).replace(/:.*$/, '')));
  return names.filter((name) => !present.has(name));
}

async function install(packages: readonly string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await step('apt-get update', () => command(['apt-get', '-q', 'update'], { env }));
  await step(`apt-get install ${packages.join(' ')}`, () =>
    command(['apt-get', '-q', '-y', '--no-install-recommends', 'install', ...packages], { env }),
  );
}
