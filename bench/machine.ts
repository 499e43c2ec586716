import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { checkout, lab } from '../lab/paths.ts';

/** What a number depends on. No paths, no names of hosts. */
export interface Machine {
  readonly kernel: string;
  readonly architecture: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  /** A hypervisor below makes every number noisier. */
  readonly virtual: boolean;
  /** Over the minute before: who else was at work when the measurement began. */
  readonly loadAverage: number;
  /** By program; only what is there. */
  readonly versions: Readonly<Record<string, string>>;
}

/** How each program is asked for its version: the machine's own, or the lab's. */
const PROGRAMS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  nft: ['nft', '--version'],
  iptables: ['iptables', '--version'],
  iproute2: ['ip', '-V'],
  containerd: [join(lab.bin, 'containerd'), '--version'],
  Kubernetes: [join(lab.bin, 'kubelet'), '--version'],
};

export function describeMachine(): Machine {
  const all = cpus();
  return {
    kernel: release(),
    architecture: arch(),
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    virtual: isVirtual(),
    loadAverage: loadavg()[0] ?? Number.NaN,
    versions: { node: process.versions.node, ...programVersions(), ...istioVersion() },
  };
}

function programVersions(): Record<string, string> {
  const seen = Object.entries(PROGRAMS).map(([name, [command, ...argv]]) => [name, versionOf(command, argv)]);
  return Object.fromEntries(seen.filter(([, version]) => version !== undefined)) as Record<string, string>;
}

/** The lab builds it from a commit, and it does not know which: the module file does. */
function istioVersion(): Record<string, string> {
  if (!existsSync(join(lab.bin, 'pilot-agent'))) return {};
  const modules = readFileSync(join(checkout, 'lab', 'go.mod'), 'utf8');
  const version = /^\s*istio\.io\/istio (\S+)/m.exec(modules)?.[1];
  return version === undefined ? {} : { Istio: version };
}

/** The number, and what stands in brackets behind it: iptables tells there whether it is the legacy one. */
function versionOf(command: string, argv: readonly string[]): string | undefined {
  if (command.startsWith('/') && !existsSync(command)) return undefined;
  const { status, stdout } = spawnSync(command, argv, { encoding: 'utf8', timeout: 10_000 });
  if (status !== 0) return undefined;
  return /\bv?(\d+\.\d+(?:\.\d+)?[\w.-]*(?: \((?:nf_tables|legacy)\))?)/.exec(stdout)?.[1];
}

function isVirtual(): boolean {
  try {
    return /^flags\s*:.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}
