import type { ConnectProbe } from '../ruleset/probe.ts';
import { endOf } from './conntrack.ts';
import { type ProbeContext, SETTLE_MS } from './probe-context.ts';
import { exemptionOf } from './probe-owner.ts';
import { loopbackDown, NO_CTNETLINK, type ProbeResult, unroutable, verdict } from './probe-result.ts';
import {
  acceptOriginal,
  type Client,
  closeSocket,
  listenHere,
  type ListenOptions,
  sourceOf,
  startConnect,
  waitReadable,
  waitWritable,
} from './probe-socket.ts';
import { LOOPBACK } from './sockaddr.ts';
import { isListening, peersOf } from './tcp-table.ts';

/** Sends each connection and looks who gets it: our own listener, which learns where it meant to go, or the proxy. */
export function runConnectProbes(probes: readonly ConnectProbe[], context: ProbeContext): readonly ProbeResult[] {
  const groups = Map.groupBy(probes, (probe) => `${probe.family} ${probe.proxyPort} ${isTransparent(probe)}`);
  return [...groups.values()].flatMap((group) => runGroup(group, context));
}

/** Probes that must arrive at the same listener share it. */
function runGroup(group: readonly ConnectProbe[], context: ProbeContext): ProbeResult[] {
  const [first] = group;
  if (first === undefined) return [];
  const { family, proxyPort: port } = first;
  const place: ListenOptions = { family, port, protocol: 'tcp', transparent: isTransparent(first) };
  const listener = listenHere(place);
  if (listener.state === 'noFamily') return group.map((probe) => unroutable(probe, `the kernel has no IPv${family}`));
  if (listener.state === 'noLoopback' && family === 4) throw loopbackDown();
  // Untouched ones first: loopback's queue is in order, so once a redirected probe has arrived the others would have, too.
  const ordered = group.toSorted((a, b) => Number(isAwaited(a)) - Number(isAwaited(b)));
  const clients: Sent[] = [];
  const repeated: Sent[] = [];
  const sendAgain = ({ probe }: Sent): void => void repeated.push(sent(probe, context));
  try {
    for (const probe of ordered) clients.push(sent(probe, context));
    if (listener.state !== 'listening') return clients.map((client) => judge(client, isWithProxy(client, context)));
    const reached = new Set(collect({ fd: listener.fd, place, sendAgain }, clients, context));
    return clients.map((client) => judge(client, reached.has(client.target)));
  } finally {
    for (const { fd } of [...clients, ...repeated]) if (fd !== undefined) closeSocket(fd);
    if (listener.state === 'listening') closeSocket(listener.fd);
  }
}

type Sent = Client & { readonly probe: ConnectProbe; readonly exemptBy: string | undefined };

function sent(probe: ConnectProbe, { exemptInterfaces }: ProbeContext): Sent {
  const client = startConnect({ ...probe, protocol: 'tcp', fromLoopback: isTransparent(probe) });
  const { fd } = client;
  if (fd === undefined) return { ...client, probe, exemptBy: undefined };
  const rules = { interfaces: isTransparent(probe) ? [] : exemptInterfaces, owners: probe.exempt };
  return { ...client, probe, exemptBy: exemptionOf(() => sourceOf(fd, probe.family).address, rules) };
}

function judge({ probe, exemptBy, ...client }: Sent, arrived: boolean | 'unknown'): ProbeResult {
  if (client.fd === undefined) return unroutable(probe, client.why);
  if (arrived === 'unknown') return unroutable(probe, NO_CTNETLINK);
  const expected = isAwaited(probe);
  if (expected && !arrived && exemptBy !== undefined) return unroutable(probe, `${exemptBy} is exempt`);
  const detail = arrived ? `reached port ${probe.proxyPort}` : `did not reach port ${probe.proxyPort}`;
  return verdict(probe, arrived === expected ? 'proven' : 'failed', detail);
}

/**
 * TCP repeats a SYN after a second, later than we wait. One that is lost while a link or an address of the new pod comes up must not
 * disprove rules that are right: seen once in some 800 netns whose veth had just been set up.
 */
const SEND_AGAIN_MS = 100;

interface Collector {
  /** The listener. */
  readonly fd: number;
  readonly place: ListenOptions;
  readonly sendAgain: (client: Sent) => void;
}

/** The strong proof: who reaches our listener, and where did it mean to go? */
function collect(
  { fd: listener, place, sendAgain }: Collector,
  clients: readonly Sent[],
  { patienceMs }: ProbeContext,
): string[] {
  const awaited = clients.filter(({ probe, fd, exemptBy }) => isAwaited(probe) && fd !== undefined && !exemptBy);
  const missing = new Map(awaited.map((client) => [client.target, client]));
  const arrived: string[] = [];
  const deadlineMs = performance.now() + (missing.size === 0 ? SETTLE_MS : patienceMs());
  for (;;) {
    const original = acceptOriginal(listener, place);
    if (original !== undefined) {
      arrived.push(original);
      missing.delete(original);
      continue;
    }
    const remainingMs = Math.ceil(deadlineMs - performance.now());
    const mayCome = missing.size > 0 || awaited.length === 0;
    if (!mayCome || remainingMs <= 0) return arrived;
    if (waitReadable(listener, Math.min(remainingMs, SEND_AGAIN_MS)) || missing.size === 0) continue;
    // All of them, in their order: whatever is captured that must not be would have come before what is still missing.
    for (const client of clients) if (client.fd !== undefined && !arrived.includes(client.target)) sendAgain(client);
  }
}

/**
 * With the proxy already on the port: does this connection go there? Conntrack tells, whatever source port NAT had to choose beside the
 * proxy's other connections.
 */
function isWithProxy({ probe, fd, exemptBy }: Sent, { patienceMs }: ProbeContext): boolean | 'unknown' {
  if (fd === undefined) return false;
  waitWritable(fd, isAwaited(probe) && exemptBy === undefined ? Math.ceil(patienceMs()) : SETTLE_MS);
  const { family, address, port, proxyPort } = probe;
  const source = sourceOf(fd, family);
  // Its end of the connection has the address and port that it was bound for; a process that listens there would have the same.
  if (isTransparent(probe)) return !isListening(port) && peersOf({ address, port }).has(source.port);
  const end = endOf({ family, protocol: 'tcp', source, destination: { address, port }, zone: 0 });
  if (end === 'unknown') return 'unknown';
  return end?.address === LOOPBACK[family] && end.port === proxyPort && end.answered;
}

function isTransparent({ expect }: ConnectProbe): boolean {
  return expect === 'tproxied';
}

function isAwaited({ expect }: ConnectProbe): boolean {
  return expect !== 'untouched';
}
