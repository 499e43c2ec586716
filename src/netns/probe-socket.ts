import { ControllerError } from '../errors.ts';
import { errnoName, libc, uint32 } from './libc.ts';
import {
  AF,
  type Endpoint,
  endpointKey,
  type Family,
  LOOPBACK,
  readSockaddr,
  SOCKADDR_BYTES,
  sockaddr,
} from './sockaddr.ts';

/** asm-generic/socket.h, linux/in.h, linux/in6.h, linux/netfilter_ipv4.h, netfilter_ipv6/ip6_tables.h, asm-generic/poll.h */
const [SOCK_NONBLOCK, SOCK_CLOEXEC] = [0o4000, 0o2000000] as const;
const SOCK = { tcp: 1, udp: 2 } as const;
const [SOL_SOCKET, SO_REUSEADDR, SO_LINGER, SO_MARK] = [1, 2, 13, 36] as const;
const IP = {
  4: { level: 0, hopLimit: 2 /* IP_TTL */, transparent: 19, originalDestination: 80 },
  6: { level: 41, hopLimit: 16 /* IPV6_UNICAST_HOPS */, transparent: 75, originalDestination: 80 },
} as const;
const IPV6_V6ONLY = 26;
const [POLLIN, POLLOUT, MSG_DONTWAIT] = [1, 4, 0x40] as const;
const BACKLOG = 64;
const ONE = uint32(1);
const ANY = { 4: '0.0.0.0', 6: '::' } as const;

export type Protocol = keyof typeof SOCK;

export type Listener =
  | { readonly state: 'listening'; readonly fd: number }
  /** The proxy runs already. */
  | { readonly state: 'inUse' }
  /** `lo` has no address of the family: it is down, or IPv6 is switched off in the netns. */
  | { readonly state: 'noLoopback' }
  | { readonly state: 'noFamily' };

/** A connect under way, or the reason why none can be. */
export type Client = ({ readonly fd: number } | { readonly fd: undefined; readonly why: string }) & {
  /** Where it is bound for, as `endpointKey`. */
  readonly target: string;
};

export interface ListenOptions {
  readonly family: Family;
  readonly port: number;
  readonly protocol: Protocol;
  /** For TPROXY, which hands over packets with any destination; it looks for a listener on any address. */
  readonly transparent: boolean;
}

/** Listens where what is captured must arrive: redirected traffic on loopback. */
export function listenHere({ family, port, protocol, transparent }: ListenOptions): Listener {
  const calls = libc();
  const fd = openSocket(family, protocol);
  if (fd === undefined) return { state: 'noFamily' };
  if (protocol === 'tcp') calls.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, ONE);
  if (family === 6) calls.setsockopt(fd, IP[6].level, IPV6_V6ONLY, ONE);
  const allowed = transparent ? calls.setsockopt(fd, IP[family].level, IP[family].transparent, ONE) : 0;
  const address = transparent ? ANY[family] : LOOPBACK[family];
  const bound = allowed < 0 ? allowed : calls.bind(fd, sockaddr(family, { address, port }));
  // What it accepts inherits it.
  calls.setsockopt(fd, SOL_SOCKET, SO_LINGER, LINGER_ZERO);
  const result = bound < 0 || protocol === 'udp' ? bound : calls.listen(fd, BACKLOG);
  if (result === 0) return { state: 'listening', fd };
  closeSocket(fd);
  const errno = errnoName(result);
  if (errno === 'EADDRINUSE') return { state: 'inUse' };
  if (errno === 'EADDRNOTAVAIL') return { state: 'noLoopback' };
  throw unexpected(`listen on ${protocol} port ${port}`, errno);
}

export interface ConnectOptions {
  readonly family: Family;
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** 0: none. */
  readonly mark: number;
  /** Comes from the loopback address, not from where the kernel would choose. */
  readonly fromLoopback: boolean;
}

/**
 * Starts a connect; for UDP, only chooses the way. TTL 1: what is not captured gets as far as the node and no further. The source is the
 * kernel's choice: while a pod's IPv6 address is tentative (duplicate address detection, about a second), it takes loopback's, and the
 * redirect works.
 */
export function startConnect({ family, address, port, protocol, mark, fromLoopback }: ConnectOptions): Client {
  const calls = libc();
  const destination = sockaddr(family, { address, port });
  const target = endpointKey(family, destination);
  const fd = openSocket(family, protocol);
  if (fd === undefined) return { fd, target, why: 'EAFNOSUPPORT' };
  calls.setsockopt(fd, IP[family].level, IP[family].hopLimit, ONE);
  if (mark !== 0) must(calls.setsockopt(fd, SOL_SOCKET, SO_MARK, uint32(mark)), 'mark a packet');
  const bound = fromLoopback ? calls.bind(fd, sockaddr(family, { address: LOOPBACK[family], port: 0 })) : 0;
  const result = bound < 0 ? bound : calls.connect(fd, destination);
  const errno = result < 0 ? errnoName(result) : 'EINPROGRESS';
  if (!NOT_SENT.has(errno)) return { fd, target };
  closeSocket(fd);
  return { fd: undefined, target, why: errno };
}

/** Where one accepted connection meant to go, as `endpointKey`: by conntrack if it was redirected, else as it came. Undefined if none waits. */
export function acceptOriginal(
  listener: number,
  { family, transparent }: Pick<ListenOptions, 'family' | 'transparent'>,
): string | undefined {
  const calls = libc();
  const fd = calls.accept4(listener, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return undefined;
  const value = Buffer.alloc(SOCKADDR_BYTES[family]);
  const result = transparent
    ? calls.getsockname(fd, value)
    : calls.getsockopt(fd, IP[family].level, IP[family].originalDestination, value);
  calls.close(fd);
  // ENOENT, ENOPROTOOPT: it came to the port without being redirected, so it is none of the probes.
  return result < 0 ? '' : endpointKey(family, value);
}

export function waitReadable(fd: number, timeoutMs: number): boolean {
  return libc().poll(fd, POLLIN, timeoutMs) > 0;
}

/** Waits until a connect has come to an end, good or bad. */
export function waitWritable(fd: number, timeoutMs: number): void {
  libc().poll(fd, POLLOUT, timeoutMs);
}

/** Sends on a connected socket; the errno name if the kernel would not. */
export function sendNow(fd: number, data: Buffer): string | undefined {
  const result = libc().send(fd, data, MSG_DONTWAIT);
  return result < 0 ? errnoName(result) : undefined;
}

/** What waits on a UDP socket, at most `bytesMax`; undefined if nothing does. */
export function receiveNow(fd: number, bytesMax: number): Buffer | undefined {
  const buffer = Buffer.alloc(bytesMax);
  const length = libc().recv(fd, buffer, MSG_DONTWAIT);
  return length < 0 ? undefined : buffer.subarray(0, length);
}

/** Where a connect comes from: the source that the route chose, and a port. */
export function sourceOf(fd: number, family: Family): Endpoint {
  const address = Buffer.alloc(SOCKADDR_BYTES[family]);
  libc().getsockname(fd, address);
  return readSockaddr(family, address);
}

const LINGER_ZERO = Buffer.concat([uint32(1), uint32(0)]);

/** With SO_LINGER 0: the peer gets an RST, no TIME_WAIT stays behind in the pod. */
export function closeSocket(fd: number): void {
  const calls = libc();
  calls.setsockopt(fd, SOL_SOCKET, SO_LINGER, LINGER_ZERO);
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

function openSocket(family: Family, protocol: Protocol): number | undefined {
  const fd = libc().socket(AF[family], SOCK[protocol] | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0) return fd;
  const errno = errnoName(fd);
  if (errno === 'EAFNOSUPPORT') return undefined;
  throw unexpected('make a socket', errno);
}

function must(result: number, what: string): void {
  if (result < 0) throw unexpected(what, errnoName(result));
}

function unexpected(what: string, errno: string): ControllerError {
  return new ControllerError('ProofFailed', `cannot ${what} in the netns: ${errno}`);
}
