import { ControllerError } from '../errors.ts';
import type { Probe } from '../ruleset/probe.ts';
import { errnoName, libc, uint32 } from './libc.ts';
import { AF, type Endpoint, type Family, LOOPBACK, readSockaddr, SOCKADDR_BYTES, sockaddr } from './sockaddr.ts';

/** asm-generic/socket.h, linux/in.h, linux/in6.h, linux/netfilter_ipv4.h, netfilter_ipv6/ip6_tables.h, asm-generic/poll.h */
const [SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC] = [1, 0o4000, 0o2000000] as const;
const [SOL_SOCKET, SO_REUSEADDR, SO_LINGER] = [1, 2, 13] as const;
const IP = {
  4: { level: 0, hopLimit: 2 /* IP_TTL */, originalDestination: 80 },
  6: { level: 41, hopLimit: 16 /* IPV6_UNICAST_HOPS */, originalDestination: 80 },
} as const;
const IPV6_V6ONLY = 26;
const [POLLIN, POLLOUT] = [1, 4] as const;
const BACKLOG = 64;

export type Listener =
  | { readonly state: 'listening'; readonly fd: number }
  /** The proxy runs already. */
  | { readonly state: 'inUse' }
  /** `lo` has no address of the family: it is down, or IPv6 is switched off in the netns. */
  | { readonly state: 'noLoopback' }
  | { readonly state: 'noFamily' };

/** A connect under way, or the reason why none can be. */
export type Client = { readonly fd: number } | { readonly fd: undefined; readonly why: string };

/** Listens where a redirected connection of the family must arrive. */
export function listenOnLoopback(family: Family, port: number): Listener {
  const calls = libc();
  const fd = openSocket(family);
  if (fd === undefined) return { state: 'noFamily' };
  calls.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, uint32(1));
  if (family === 6) calls.setsockopt(fd, IP[6].level, IPV6_V6ONLY, uint32(1));
  const bound = calls.bind(fd, sockaddr(family, { address: LOOPBACK[family], port }));
  const result = bound < 0 ? bound : calls.listen(fd, BACKLOG);
  if (result === 0) return { state: 'listening', fd };
  closeSocket(fd);
  const errno = errnoName(result);
  if (errno === 'EADDRINUSE') return { state: 'inUse' };
  if (errno === 'EADDRNOTAVAIL') return { state: 'noLoopback' };
  throw unexpected(`listen on port ${port} of loopback`, errno);
}

/**
 * Sends the SYN of a probe. TTL 1: one that is not captured gets as far as the node and no further. The source is the kernel's choice:
 * while a pod's IPv6 address is tentative (duplicate address detection, about a second), it takes loopback's, and the redirect works.
 */
export function startConnect(probe: Probe): Client {
  const calls = libc();
  const { family } = probe;
  const fd = openSocket(family);
  if (fd === undefined) return { fd, why: 'EAFNOSUPPORT' };
  calls.setsockopt(fd, IP[family].level, IP[family].hopLimit, uint32(1));
  const result = calls.connect(fd, sockaddr(family, { address: probe.address, port: probe.port }));
  const errno = result < 0 ? errnoName(result) : 'EINPROGRESS';
  if (!NOT_SENT.has(errno)) return { fd };
  closeSocket(fd);
  return { fd: undefined, why: errno };
}

/** One accepted connection's original destination; undefined if none waits. */
export function acceptOriginal(listener: number, family: Family): Endpoint | undefined {
  const calls = libc();
  const fd = calls.accept4(listener, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return undefined;
  const value = Buffer.alloc(SOCKADDR_BYTES[family]);
  const result = calls.getsockopt(fd, IP[family].level, IP[family].originalDestination, value);
  closeSocket(fd);
  // ENOENT, ENOPROTOOPT: it came to the port without being redirected, so it is none of the probes.
  return result < 0 ? { address: '', port: 0 } : readSockaddr(family, value);
}

export function waitReadable(fd: number, timeoutMs: number): boolean {
  return libc().poll(fd, POLLIN, timeoutMs) > 0;
}

/** Waits until a connect has come to an end, good or bad. */
export function waitWritable(fd: number, timeoutMs: number): void {
  libc().poll(fd, POLLOUT, timeoutMs);
}

/** Where a connect comes from: the source that the route chose, and a port. */
export function sourceOf(fd: number, family: Family): Endpoint {
  const address = Buffer.alloc(SOCKADDR_BYTES[family]);
  libc().getsockname(fd, address);
  return readSockaddr(family, address);
}

/** With SO_LINGER 0: the peer gets an RST, no TIME_WAIT stays behind in the pod. */
export function closeSocket(fd: number): void {
  const calls = libc();
  calls.setsockopt(fd, SOL_SOCKET, SO_LINGER, Buffer.concat([uint32(1), uint32(0)]));
  calls.close(fd);
}

/** What connect(2) says at once when the route look-up fails (also for `unreachable`, `prohibit` and `blackhole` routes): no SYN was made. */
const NOT_SENT: ReadonlySet<string> = new Set([
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EADDRNOTAVAIL',
  'EACCES',
  'EINVAL',
  'ENETDOWN',
]);

function openSocket(family: Family): number | undefined {
  const fd = libc().socket(AF[family], SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0) return fd;
  const errno = errnoName(fd);
  if (errno === 'EAFNOSUPPORT') return undefined;
  throw unexpected('make a socket', errno);
}

function unexpected(what: string, errno: string): ControllerError {
  return new ControllerError('ProofFailed', `cannot ${what} in the netns: ${errno}`);
}
