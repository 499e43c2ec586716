import { randomBytes } from 'node:crypto';
import type { QueryProbe } from '../ruleset/probe.ts';
import { endOf } from './conntrack.ts';
import { type ProbeContext, SETTLE_MS } from './probe-context.ts';
import { exemptionOf } from './probe-owner.ts';
import { loopbackDown, NO_CTNETLINK, type ProbeResult, unroutable, verdict } from './probe-result.ts';
import { closeSocket, listenHere, receiveNow, sendNow, sourceOf, startConnect, waitReadable } from './probe-socket.ts';
import { LOOPBACK } from './sockaddr.ts';

/** A DNS header alone (RFC 1035 §4.1.1). */
const HEADER_BYTES = 12;

/**
 * Sends a DNS query and looks who gets it. It asks nothing: a DNS server that the rules fail to keep it from answers `format error` and
 * asks no other one.
 */
export function runQueryProbe(probe: QueryProbe, { exemptInterfaces, patienceMs }: ProbeContext): ProbeResult {
  const { family, proxyPort: port } = probe;
  const listener = listenHere({ family, port, protocol: 'udp', transparent: false });
  if (listener.state === 'noFamily') return unroutable(probe, `the kernel has no IPv${family}`);
  if (listener.state === 'noLoopback' && family === 4) throw loopbackDown();
  const client = startConnect({ ...probe, protocol: 'udp', mark: 0, fromLoopback: false });
  try {
    if (client.fd === undefined) return unroutable(probe, client.why);
    const { fd } = client;
    const exemptBy = exemptionOf(() => sourceOf(fd, family).address, {
      interfaces: exemptInterfaces,
      owners: probe.exempt,
    });
    const query = queryOf();
    // A filter that drops on output says EPERM. What has no route was refused by connect.
    const isSent = sendNow(fd, query) === undefined;
    const waitMs = isSent ? (exemptBy === undefined ? patienceMs() : SETTLE_MS) : 0;
    const arrived = listener.state === 'listening' ? receives(listener.fd, query, waitMs) : isWithProxy(probe, fd);
    if (arrived === 'unknown') return unroutable(probe, NO_CTNETLINK);
    if (arrived) return verdict(probe, 'proven', `reached port ${port}`);
    if (exemptBy !== undefined) return unroutable(probe, `${exemptBy} is exempt`);
    return verdict(probe, 'failed', `did not reach port ${port}`);
  } finally {
    if (client.fd !== undefined) closeSocket(client.fd);
    if (listener.state === 'listening') closeSocket(listener.fd);
  }
}

/** A query with a number of its own and no question. */
function queryOf(): Buffer {
  return Buffer.concat([randomBytes(2), Buffer.alloc(HEADER_BYTES - 2)]);
}

function receives(listener: number, query: Buffer, waitMs: number): boolean {
  const deadlineMs = performance.now() + waitMs;
  for (;;) {
    const datagram = receiveNow(listener, HEADER_BYTES + 1);
    if (datagram?.equals(query) === true) return true;
    const remainingMs = Math.ceil(deadlineMs - performance.now());
    if (remainingMs <= 0 || (datagram === undefined && !waitReadable(listener, remainingMs))) return false;
  }
}

/** With the proxy on the port: where does conntrack say that what this socket sent goes? */
function isWithProxy(probe: QueryProbe, fd: number): boolean | 'unknown' {
  const { family, address, port, zone } = probe;
  const source = sourceOf(fd, family);
  const end = endOf({ family, protocol: 'udp', source, destination: { address, port }, zone });
  if (end === 'unknown') return 'unknown';
  return end?.address === LOOPBACK[family] && end.port === probe.proxyPort;
}
