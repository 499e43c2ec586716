import { execFileSync } from 'node:child_process';
import { errnoName, libc } from '../src/netns/libc.ts';
import { enterNetns, type Netns } from '../src/netns/netns.ts';
import { closeSocket, listenHere, waitReadable } from '../src/netns/probe-socket.ts';
import { AF, sockaddr } from '../src/netns/sockaddr.ts';
import type { PodNetns } from './pod-netns.ts';

/** Connects to captured destinations, as fast as one core can: client and proxy are one process, so that no scheduler is between them. */
export interface Dialer {
  dial(forMs: number): Dialed;
  close(): void;
}

export interface Dialed {
  readonly connects: number;
  /** Of this process; the kernel's part of both ends is in it, softirq included: loopback delivers in the sender's context. */
  readonly cpuMs: number;
  /** Did not arrive at the proxy's port. */
  readonly lost: number;
  readonly tookMs: number;
}

const OUTBOUND_PORT = 15_001;
/** SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC */
const [STREAM, NONBLOCK, CLOEXEC] = [1, 0o4000, 0o2000000] as const;
/** In turn: the kernel chooses at random, and some anew before conntrack has forgotten them. */
const [FIRST_PORT, LAST_PORT] = [20_000, 65_000] as const;
const DESTINATIONS = Array.from({ length: 250 }, (_, index) =>
  sockaddr(4, { address: `203.0.113.${index + 1}`, port: 80 }),
);
const ARRIVES_WITHIN_MS = 1_000;

/** In a netns whose rules stand already. The netns must stay open. */
export function openDialer(netns: Netns, { name }: PodNetns): Dialer {
  // A connection that ended keeps its ports in conntrack for a while; with so many a second they would run out.
  for (const state of ['close', 'time_wait', 'fin_wait', 'last_ack', 'close_wait']) {
    const setting = `net.netfilter.nf_conntrack_tcp_timeout_${state}=1`;
    execFileSync('ip', ['netns', 'exec', name, 'sysctl', '-qw', setting]);
  }
  const listener = enterNetns(netns, () =>
    listenHere({ family: 4, port: OUTBOUND_PORT, protocol: 'tcp', transparent: false }),
  );
  if (listener.state !== 'listening') throw new Error(`port ${OUTBOUND_PORT}: ${listener.state}`);
  let turn = 0;
  return {
    dial: (forMs) =>
      enterNetns(netns, () => {
        const before = process.cpuUsage();
        const startMs = performance.now();
        let [connects, lost] = [0, 0];
        for (; performance.now() - startMs < forMs; turn += 1) {
          if (connectOnce(listener.fd, turn)) connects += 1;
          else lost += 1;
        }
        const tookMs = performance.now() - startMs;
        const { user, system } = process.cpuUsage(before);
        return { connects, lost, tookMs, cpuMs: (user + system) / 1_000 };
      }),
    close: () => closeSocket(listener.fd),
  };
}

function connectOnce(listener: number, turn: number): boolean {
  const calls = libc();
  const fd = calls.socket(AF[4], STREAM | NONBLOCK | CLOEXEC, 0);
  const port = FIRST_PORT + (turn % (LAST_PORT - FIRST_PORT));
  must(calls.bind(fd, sourcePort(port)), `bind to port ${port}`);
  calls.connect(fd, DESTINATIONS[turn % DESTINATIONS.length] ?? Buffer.alloc(0));
  // As a rule the handshake has ended when connect returns.
  let accepted = calls.accept4(listener, NONBLOCK | CLOEXEC);
  if (accepted < 0 && waitReadable(listener, ARRIVES_WITHIN_MS)) accepted = calls.accept4(listener, NONBLOCK | CLOEXEC);
  if (accepted >= 0) closeSocket(accepted);
  calls.close(fd);
  return accepted >= 0;
}

const SOURCE = sockaddr(4, { address: '0.0.0.0', port: 0 });

function sourcePort(port: number): Buffer {
  SOURCE.writeUInt16BE(port, 2);
  return SOURCE;
}

function must(result: number, what: string): void {
  if (result < 0) throw new Error(`cannot ${what}: ${errnoName(result)}`);
}
