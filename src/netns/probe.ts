import { ControllerError } from '../errors.ts';
import type { Probe } from '../ruleset/probe.ts';
import {
  acceptOriginal,
  type Client,
  closeSocket,
  wasAnswered,
  listenOnLoopback,
  startConnect,
  waitReadable,
  waitWritable,
} from './probe-socket.ts';
import { canonical, type Family } from './sockaddr.ts';

/**
 * What a live connect showed.
 * - `proven`: it went where the policy says.
 * - `unroutable`: the netns has no route for it, so nothing of the kind can leave, captured or not. No failure.
 * - `inconclusive`: Envoy already holds the port and the address is not a documentation address: somebody near may have answered. No failure.
 * - `failed`: the rules do not do what they should.
 */
export interface ProbeResult {
  readonly probe: Probe;
  readonly outcome: 'proven' | 'unroutable' | 'inconclusive' | 'failed';
  /** One sentence for people. */
  readonly detail: string;
}

/** A redirected SYN and its answers never leave the loopback device: microseconds. This is for a machine that stands still meanwhile. */
const DEADLINE_MS = 500;
/** When nothing is expected to arrive, and no other probe's arrival shows that the loopback queue has been drained. */
const SETTLE_MS = 1;

/**
 * Sends every probe in the netns the calling thread is in, as this process's uid, and looks where it ends. Synchronous: about 0.1 ms
 * each, at most half a second where rules are broken. A listener stands on the outbound port of loopback for that moment; what it
 * accepts carries its original destination. Clients have TTL 1, so an uncaptured SYN gets no further than the node, and all sockets are
 * closed with RST: nothing lingers.
 */
export function runProbes(probes: readonly Probe[]): readonly ProbeResult[] {
  const groups = new Map<string, Probe[]>();
  for (const probe of probes) {
    const key = `${probe.family} ${probe.outboundPort}`;
    groups.set(key, [...(groups.get(key) ?? []), probe]);
  }
  return [...groups.values()].flatMap(runGroup);
}

/** Probes of one family and one outbound port share a listener. */
function runGroup(group: readonly Probe[]): ProbeResult[] {
  const [first] = group;
  if (first === undefined) return [];
  const listener = listenOnLoopback(first.family, first.outboundPort);
  if (listener.state === 'noFamily')
    return group.map((probe) => unroutable(probe, `the kernel has no IPv${probe.family}`));
  if (listener.state === 'noLoopback' && first.family === 4) throw loopbackDown();
  // Untouched ones first: loopback's queue is in order, so once a redirected probe has arrived the others would have, too.
  const ordered = group.toSorted((a, b) => Number(a.expect === 'redirected') - Number(b.expect === 'redirected'));
  const clients = ordered.map((probe) => ({ probe, client: startConnect(probe) }));
  try {
    return listener.state === 'listening'
      ? judgeByListener(clients, { fd: listener.fd, family: first.family })
      : clients.map((sent) => judgeByClient(sent, listener.state));
  } finally {
    for (const { client } of clients) if (client.fd !== undefined) closeSocket(client.fd);
    if (listener.state === 'listening') closeSocket(listener.fd);
  }
}

interface OpenListener {
  readonly fd: number;
  readonly family: Family;
}

interface Sent {
  readonly probe: Probe;
  readonly client: Client;
}

/** The strong proof: who reached the listener, and where did it mean to go? */
function judgeByListener(clients: readonly Sent[], listener: OpenListener): ProbeResult[] {
  const awaited = new Set<string>();
  for (const { probe, client } of clients) {
    if (probe.expect === 'redirected' && client.fd !== undefined) awaited.add(destination(probe));
  }
  const arrived = collect(listener, awaited);
  return clients.map(({ probe, client }) => {
    if (client.fd === undefined) return unroutable(probe, client.why);
    const redirected = arrived.has(destination(probe));
    const detail = redirected ? `reached port ${probe.outboundPort}` : `did not reach port ${probe.outboundPort}`;
    return verdict(probe, redirected === (probe.expect === 'redirected') ? 'proven' : 'failed', detail);
  });
}

function collect(listener: OpenListener, awaited: ReadonlySet<string>): ReadonlySet<string> {
  const arrived = new Set<string>();
  const missing = new Set(awaited);
  const deadlineMs = performance.now() + (missing.size === 0 ? SETTLE_MS : DEADLINE_MS);
  for (;;) {
    const original = acceptOriginal(listener.fd, listener.family);
    if (original !== undefined) {
      arrived.add(`${original.address} ${original.port}`);
      missing.delete(`${original.address} ${original.port}`);
      continue;
    }
    const remainingMs = Math.ceil(deadlineMs - performance.now());
    const mayCome = missing.size > 0 || awaited.size === 0;
    if (!mayCome || remainingMs <= 0 || !waitReadable(listener.fd, remainingMs)) return arrived;
  }
}

/**
 * The weaker proof, when Envoy already listens there: with TTL 1, and towards an address that nobody has, only this netns can have
 * answered. Without any IPv6 loopback address a redirect has nowhere to go, and a probe that gets out disproves itself.
 */
function judgeByClient({ probe, client }: Sent, state: 'inUse' | 'noLoopback'): ProbeResult {
  if (client.fd === undefined) return unroutable(probe, client.why);
  if (state === 'noLoopback') return verdict(probe, 'failed', `lo has no IPv${probe.family} address to redirect to`);
  const captured = probe.expect === 'redirected';
  waitWritable(client.fd, captured ? DEADLINE_MS : SETTLE_MS);
  if (!wasAnswered(client.fd)) return verdict(probe, captured ? 'failed' : 'proven', 'was not answered in the netns');
  if (isDocumentation(probe)) return verdict(probe, captured ? 'proven' : 'failed', 'was answered in the netns');
  return verdict(probe, 'inconclusive', `was answered, but port ${probe.outboundPort} is already in use`);
}

/** RFC 5737, RFC 3849: routed nowhere, owned by nobody. */
function isDocumentation(probe: Probe): boolean {
  if (probe.family === 6) return /^2001:db8:/i.test(probe.address);
  return ['192.0.2.', '198.51.100.', '203.0.113.'].some((prefix) => probe.address.startsWith(prefix));
}

function destination(probe: Probe): string {
  return `${canonical(probe.address)} ${probe.port}`;
}

function unroutable(probe: Probe, why: string): ProbeResult {
  return verdict(probe, 'unroutable', `cannot leave: ${why}`);
}

function verdict(probe: Probe, outcome: ProbeResult['outcome'], what: string): ProbeResult {
  const where = probe.family === 6 ? `[${probe.address}]:${probe.port}` : `${probe.address}:${probe.port}`;
  return { probe, outcome, detail: `a connection to ${where} ${what} (${probe.reason})` };
}

function loopbackDown(): ControllerError {
  return new ControllerError('ProofFailed', 'lo is not up in the netns: redirected connections have nowhere to go', {
    hint: 'The container runtime (or its loopback CNI plugin) brings lo up when it makes the sandbox.',
  });
}
