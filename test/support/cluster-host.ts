import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../../lab/command.ts';
import { type EscapeCounters, readEscapes } from '../../lab/guard.ts';
import { readOwner } from '../../lab/owner.ts';
import { containerdSocket, lab } from '../../lab/paths.ts';
import { dockerContainersOf, dockerSandboxOf } from './cluster-docker.ts';
import { at, listAt, textAt } from './cluster.ts';

const CTR = [join(lab.bin, 'ctr'), '--address', containerdSocket, '--namespace', 'k8s.io'];
const CLIENT = join(import.meta.dirname, 'cluster-netns-client.ts');

/** A sandbox whose processes run, as the runtime and the kernel know it. */
export interface HostSandbox {
  readonly id: string;
  /** Of its pause process, seen from the host. */
  readonly pid: number;
  readonly netnsPath: string;
}

/** A running container of a pod. */
export interface HostContainer {
  readonly name: string;
  readonly pid: number;
}

/** The pod's one running sandbox, or undefined while there is none. */
export async function sandboxOf(podUid: string): Promise<HostSandbox | undefined> {
  if (isDocker()) return dockerSandboxOf(podUid);
  const pids = await runningTasks();
  for (const id of await containerIds(podUid, 'sandbox')) {
    const pid = pids.get(id);
    if (pid === undefined) continue;
    const info: unknown = JSON.parse(await command([...CTR, 'containers', 'info', id]));
    const namespaces = listAt(info, 'Spec', 'linux', 'namespaces');
    const netnsPath = textAt(
      namespaces.find((namespace) => at(namespace, 'type') === 'network'),
      'path',
    );
    return { id, pid, netnsPath };
  }
  return undefined;
}

/** As `sandboxOf`, for pods that are known to run. */
export async function requireSandbox(podUid: string): Promise<HostSandbox> {
  const sandbox = await sandboxOf(podUid);
  if (sandbox === undefined) throw new Error(`pod ${podUid} has no running sandbox`);
  return sandbox;
}

/** The pod's running containers, the sandbox itself as `(sandbox)` included. */
export async function runningContainers(podUid: string): Promise<readonly HostContainer[]> {
  if (isDocker()) return dockerContainersOf(podUid);
  const pids = await runningTasks();
  const found: HostContainer[] = [];
  for (const kind of ['sandbox', 'container'] as const) {
    for (const id of await containerIds(podUid, kind)) {
      const pid = pids.get(id);
      if (pid === undefined) continue;
      const info: unknown = JSON.parse(await command([...CTR, 'containers', 'info', id]));
      const name = textAt(info, 'Labels', 'io.kubernetes.container.name');
      found.push({ name: name === '' ? '(sandbox)' : name, pid });
    }
  }
  return found;
}

function isDocker(): boolean {
  return readOwner()?.runtime === 'docker';
}

async function containerIds(podUid: string, kind: 'sandbox' | 'container'): Promise<readonly string[]> {
  const filter = `labels."io.kubernetes.pod.uid"==${podUid},labels."io.cri-containerd.kind"==${kind}`;
  return (await command([...CTR, 'containers', 'list', '--quiet', filter])).split('\n').filter(Boolean);
}

/** Container id → pid. */
async function runningTasks(): Promise<ReadonlyMap<string, number>> {
  const lines = (await command([...CTR, 'tasks', 'list'])).split('\n').slice(1);
  const rows = lines.map((line) => line.trim().split(/\s+/));
  return new Map(rows.filter(([, , status]) => status === 'RUNNING').map(([id = '', pid]) => [id, Number(pid)]));
}

/** What the kernel says a process may do. */
export interface ProcessStatus {
  /** Real, effective, saved and filesystem uid. */
  readonly uids: readonly number[];
  readonly noNewPrivileges: boolean;
  readonly capEffective: bigint;
  readonly capPermitted: bigint;
  readonly capBounding: bigint;
  readonly rssKiB: number;
}

/** /proc/PID/status, seen from the host. */
export function processStatus(pid: number): ProcessStatus {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  return {
    uids: field('Uid').split(/\s+/).map(Number),
    noNewPrivileges: field('NoNewPrivs') === '1',
    capEffective: BigInt(`0x${field('CapEff')}`),
    capPermitted: BigInt(`0x${field('CapPrm')}`),
    capBounding: BigInt(`0x${field('CapBnd')}`),
    rssKiB: Number.parseInt(field('VmRSS'), 10),
  };
}

/** The process and all that came from it. */
export function processTree(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return [pid, ...children.flatMap((child) => processTree(Number(child)))];
}

export interface Connect {
  readonly address: string;
  /** `connected`, or the error: ECONNREFUSED, ETIMEDOUT, … */
  readonly outcome: string;
  readonly elapsedMs: number;
}

/** TCP connects by `uid` inside a netns; all at once. */
export async function connectFrom(
  netnsPath: string,
  options: { readonly uid: number; readonly addresses: readonly string[]; readonly timeoutMs?: number },
): Promise<readonly Connect[]> {
  const { uid, addresses, timeoutMs = 1_500 } = options;
  const output = await inNetns(netnsPath, [
    process.execPath,
    CLIENT,
    'connect',
    String(uid),
    String(timeoutMs),
    ...addresses,
  ]);
  const results: readonly Connect[] = JSON.parse(output);
  return results;
}

/** HTTP GET by an ordinary user inside a netns: the body. */
export function getFrom(netnsPath: string, url: string): Promise<string> {
  return inNetns(netnsPath, [process.execPath, CLIENT, 'get', '1000', '5000', url]);
}

/** Sends a text by an ordinary user inside a netns over TCP: what comes back. */
export function echoFrom(
  netnsPath: string,
  options: { readonly address: string; readonly text: string },
): Promise<string> {
  return inNetns(netnsPath, [process.execPath, CLIENT, 'echo', '1000', '5000', options.address, options.text]);
}

/** Asks a DNS server over TCP by an ordinary user inside a netns: the IPv4 addresses of a name. */
export async function resolveOverTcp(
  netnsPath: string,
  options: { readonly server: string; readonly name: string },
): Promise<readonly string[]> {
  const argv = [process.execPath, CLIENT, 'dns', '1000', '5000', options.server, options.name];
  return (await inNetns(netnsPath, argv)).split('\n').filter(Boolean);
}

/** Runs a program of the host inside a netns. */
export function inNetns(netnsPath: string, argv: readonly string[]): Promise<string> {
  return command(['nsenter', `--net=${netnsPath}`, '--', ...argv], { timeoutMs: 30_000 });
}

/** The host's own netns, in which the tests run, to look at in the same way. */
export const HOST_NETNS = '/proc/self/ns/net';

export const OUR_TABLE = 'istio_pod_network_controller';

/** What of ours is in a netns. `table` is the listing with handles and comments, but without counters, which traffic changes. */
export async function capturedState(netnsPath: string): Promise<{ readonly table: string; readonly mark: string }> {
  const tables = await inNetns(netnsPath, ['nft', 'list', 'tables']);
  const listed = tables.includes(`table inet ${OUR_TABLE}`);
  const argv = ['nft', '--json', '--handle', '--numeric', 'list', 'table', 'inet', OUR_TABLE];
  const table = listed ? withoutCounters(await inNetns(netnsPath, argv)) : '';
  const links: unknown = JSON.parse(await inNetns(netnsPath, ['ip', '-json', 'link', 'show', 'lo']));
  return { table, mark: textAt(links, 0, 'ifalias') };
}

function withoutCounters(json: string): string {
  return JSON.stringify(JSON.parse(json), (key, value: unknown) => (key === 'counter' ? {} : value));
}

/** Packets that met a rule of ours that redirects to `port`. */
export async function redirectedPackets(netnsPath: string, port: number): Promise<number> {
  const listing: unknown = JSON.parse(await inNetns(netnsPath, ['nft', '--json', 'list', 'table', 'inet', OUR_TABLE]));
  let packets = 0;
  for (const entry of listAt(listing, 'nftables')) {
    const expressions = listAt(entry, 'rule', 'expr');
    if (!expressions.some((expression) => at(expression, 'redirect', 'port') === port)) continue;
    for (const expression of expressions) packets += Number(at(expression, 'counter', 'packets') ?? 0);
  }
  return packets;
}

/** Connections that one of Envoy's own listeners accepted since it started. The pod needs `LISTENER_STATISTICS`. */
export async function takenByEnvoy(netnsPath: string, port: number): Promise<number> {
  const filter = encodeURIComponent(`^listener\\..*_${port}\\.downstream_cx_total$`);
  const statistics = await getFrom(netnsPath, `http://127.0.0.1:15000/stats?filter=${filter}`);
  const totals = [...statistics.matchAll(/downstream_cx_total: (\d+)/g)].map(([, total]) => Number(total));
  if (totals.length === 0) throw new Error(`Envoy has no statistic of a listener on ${port}: ${statistics}`);
  return totals.reduce((sum, total) => sum + total, 0);
}

/** Packets to `192.0.2.1:80` or `[2001:db8::1]:80` that reached the bridge, where they were dropped, since the lab was started. */
export async function escapesTo(address: string): Promise<number> {
  return escapedOf(await readEscapes(), address);
}

/** The same, of counters that were read before. */
export function escapedOf(escapes: EscapeCounters, address: string): number {
  const [, host = '', port = ''] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(address) ?? [];
  return escapes.destinations.get(`${host} tcp ${port}`) ?? 0;
}

/** Is there a listener on this TCP port, in that family? A listener on `::` without IPV6_V6ONLY counts as IPv6 only. */
export function listens(pid: number, port: number, family: 4 | 6): boolean {
  const lines = readFileSync(`/proc/${pid}/net/${family === 4 ? 'tcp' : 'tcp6'}`, 'utf8')
    .split('\n')
    .slice(1);
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return lines.some((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    return local.endsWith(wanted) && state === '0A';
  });
}
