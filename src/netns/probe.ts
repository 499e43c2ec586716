import { networkInterfaces } from 'node:os';
import { ControllerError } from '../errors.ts';
import type { Probe } from '../ruleset/probe.ts';
import {
  acceptOriginal,
  type Client,
  closeSocket,
  listenOnLoopback,
  sourceOf,
  startConnect,
  waitReadable,
  waitWritable,
} from './probe-socket.ts';
import { canonical, type Family } from './sockaddr.ts';
import { peersOf } from './tcp-table.ts';

/**
 * What a live connect showed.
 * - `proven`: it went where the policy says.
 * - `unroutable`: nothing of the kind can leave, or it leaves by an interface that the policy exempts. No failure.
 * - `failed`: the rules do not do what they should.
 */
export interface ProbeResult {
  readonly probe: Probe;
  readonly outcome: 'proven' | 'unroutable' | 'failed';
  /** One sentence for people. */
  readonly detail: string;
}

export interface ProbeOptions {
  /** What leaves by these interfaces is not captured: a probe that would be redirected elsewhere shows nothing there. */
  readonly exemptInterfaces: readonly string[];
}

/** A redirected SYN and its answers never leave the loopback device: microseconds. This is for a machine that stands still meanwhile. */
const DEADLINE_MS = 500;
/** Some 28,000 source ports are to be had; so many in a row that are in use means that nearly all are. */
const SOURCE_PORT_TRIES = 32;
/** When nothing is expected to arrive, and no other probe's arrival shows that the loopback queue has been drained. */
const SETTLE_MS = 1;

/**
 * Sends every probe in the netns the calling thread is in, as this process's uid, and looks where it ends. Synchronous: about 0.1 ms
 * each, at most half a second where rules are broken. A listener stands on the outbound port of loopback for that moment; what it
 * accepts carries its original destination. Clients have TTL 1, so an uncaptured SYN gets no further than the node, and all sockets are
 * closed with RST: nothing lingers.
 */
export function runProbes(probes: readonly Probe[], options: ProbeOptions): readonly ProbeResult[] {
  const groups = new Map<string, Probe[]>();
  for (const probe of probes) {
    const key = `${probe.family} ${probe.outboundPort}`;
    groups.set(key, [...(groups.get(key) ?? []), probe]);
  }
  return [...groups.values()].flatMap((group) => runGroup(group, options));
}

/** Probes of one family and one outbound port share a listener. */
function runGroup(group: readonly Probe[], options: ProbeOptions): ProbeResult[] {
  const [first] = group;
  if (first === undefined) return [];
  const { family, outboundPort } = first;
  const listener = listenOnLoopback(family, outboundPort);
  if (listener.state === 'noFamily') return group.map((probe) => unroutable(probe, `the kernel has no IPv${family}`));
  if (listener.state === 'noLoopback' && family === 4) throw loopbackDown();
  // Untouched ones first: loopback's queue is in order, so once a redirected probe has arrived the others would have, too.
  const ordered = group.toSorted((a, b) => Number(a.expect === 'redirected') - Number(b.expect === 'redirected'));
  // Source ports by which a connection could be taken for another one: the proxy's own connections, and the probes before it.
  const taken = listener.state === 'listening' ? new Set<number>() : peersOf(outboundPort);
  const clients = ordered.map((probe) => sent(probe, options, taken));
  try {
    const reached =
      listener.state === 'listening'
        ? collect({ fd: listener.fd, family }, clients)
        : clients.filter((client) => isWithProxy(client)).map(({ probe }) => destination(probe));
    return clients.map((client) => judge(client, new Set(reached)));
  } finally {
    for (const { fd } of clients) if (fd !== undefined) closeSocket(fd);
    if (listener.state === 'listening') closeSocket(listener.fd);
  }
}

type Sent = Client & { readonly probe: Probe; readonly exemptBy: string | undefined };

function sent(probe: Probe, { exemptInterfaces }: ProbeOptions, taken: Set<number>): Sent {
  const client = startUnlike(probe, taken);
  if (client.fd === undefined || exemptInterfaces.length === 0) return { ...client, probe, exemptBy: undefined };
  const { address } = sourceOf(client.fd, probe.family);
  return { ...client, probe, exemptBy: exemptInterfaces.find((name) => holdsAddress(name, address)) };
}

/** The kernel gives connections to different places the same source port if it likes; the next try gets another one. */
function startUnlike(probe: Probe, taken: Set<number>): Client {
  let client = startConnect(probe);
  for (let tries = 1; tries < SOURCE_PORT_TRIES && client.fd !== undefined; tries += 1) {
    const { port } = sourceOf(client.fd, probe.family);
    if (!taken.has(port)) {
      taken.add(port);
      break;
    }
    closeSocket(client.fd);
    client = startConnect(probe);
  }
  return client;
}

function judge({ probe, exemptBy, ...client }: Sent, reached: ReadonlySet<string>): ProbeResult {
  if (client.fd === undefined) return unroutable(probe, client.why);
  const redirected = reached.has(destination(probe));
  const expected = probe.expect === 'redirected';
  if (expected && !redirected && exemptBy !== undefined) return unroutable(probe, `${exemptBy} is exempt`);
  const detail = redirected ? `reached port ${probe.outboundPort}` : `did not reach port ${probe.outboundPort}`;
  return verdict(probe, redirected === expected ? 'proven' : 'failed', detail);
}

/** The strong proof: who reaches our listener, and where did it mean to go? */
function collect(listener: { readonly fd: number; readonly family: Family }, clients: readonly Sent[]): string[] {
  const awaited = clients.filter(
    ({ probe, fd, exemptBy }) => probe.expect === 'redirected' && fd !== undefined && !exemptBy,
  );
  const missing = new Set(awaited.map(({ probe }) => destination(probe)));
  const arrived: string[] = [];
  const deadlineMs = performance.now() + (missing.size === 0 ? SETTLE_MS : DEADLINE_MS);
  for (;;) {
    const original = acceptOriginal(listener.fd, listener.family);
    if (original !== undefined) {
      arrived.push(`${original.address} ${original.port}`);
      missing.delete(`${original.address} ${original.port}`);
      continue;
    }
    const remainingMs = Math.ceil(deadlineMs - performance.now());
    const mayCome = missing.size > 0 || awaited.length === 0;
    if (!mayCome || remainingMs <= 0 || !waitReadable(listener.fd, remainingMs)) return arrived;
  }
}

/** With the proxy already on the port: is the other end of this connection the proxy's? The netns's own table of sockets tells. */
function isWithProxy({ probe, fd, exemptBy }: Sent): boolean {
  if (fd === undefined) return false;
  waitWritable(fd, probe.expect === 'redirected' && exemptBy === undefined ? DEADLINE_MS : SETTLE_MS);
  return peersOf(probe.outboundPort).has(sourceOf(fd, probe.family).port);
}

function holdsAddress(name: string, address: string): boolean {
  return (networkInterfaces()[name] ?? []).some((one) => canonical(one.address) === address);
}

function destination(probe: Probe): string {
  return `${canonical(probe.address)} ${probe.port}`;
}

function unroutable(probe: Probe, why: string): ProbeResult {
  return verdict(probe, 'unroutable', `shows nothing: ${why}`);
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
