import { errnoName, libc, uint32 } from '../../src/netns/libc.ts';
import { AF, type Endpoint, readSockaddr, sockaddr, SOCKADDR_BYTES } from '../../src/netns/sockaddr.ts';
import type { Family } from './places.ts';
import { getPeerName, must } from './syscalls.ts';

/** Sockets as values of their descriptors; made in the netns and by the owner of the calling thread. */

/** linux/socket.h, asm-generic/socket.h, linux/in.h, linux/in6.h, netfilter_ipv4.h */
export const [TCP, UDP, RAW] = [1, 2, 3] as const;
const [SOCK_NONBLOCK, SOCK_CLOEXEC] = [0o4000, 0o2000000] as const;
const [SOL_SOCKET, SO_REUSEADDR, SO_ERROR, SO_LINGER, SO_MARK] = [1, 2, 4, 13, 36] as const;
const OPTIONS = {
  reuseAddress: { 4: [SOL_SOCKET, SO_REUSEADDR], 6: [SOL_SOCKET, SO_REUSEADDR] },
  transparent: { 4: [0, 19], 6: [41, 75] },
  v6only: { 4: [41, 26], 6: [41, 26] },
} as const;
const ORIGINAL_DESTINATION = { 4: [0, 80], 6: [41, 80] } as const;
const BACKLOG = 16;
export const ANY = { 4: '0.0.0.0', 6: '::' } as const;

export function openSocket(family: Family, type: number, protocol = 0): number {
  return must(libc().socket(AF[family], type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), 'socket');
}

export function setOption(fd: number, family: Family, option: keyof typeof OPTIONS): void {
  const [level, name] = OPTIONS[option][family];
  must(libc().setsockopt(fd, level, name, uint32(1)), option);
}

export function setMark(fd: number, mark: number): void {
  must(libc().setsockopt(fd, SOL_SOCKET, SO_MARK, uint32(mark)), 'SO_MARK');
}

export interface ListenOptions {
  readonly family: Family;
  readonly type: typeof TCP | typeof UDP;
  readonly endpoint: Endpoint;
  /** Takes what is for addresses that are not its netns's, too: what TPROXY brings. */
  readonly transparent: boolean;
}

export function listenOn({ family, type, endpoint, transparent }: ListenOptions): number {
  const fd = openSocket(family, type);
  try {
    setOption(fd, family, 'reuseAddress');
    if (transparent) setOption(fd, family, 'transparent');
    if (family === 6) setOption(fd, family, 'v6only');
    bindTo(fd, family, endpoint);
    if (type === TCP) must(libc().listen(fd, BACKLOG), `listen on port ${endpoint.port}`);
    return fd;
  } catch (error: unknown) {
    libc().close(fd);
    throw error;
  }
}

export function bindTo(fd: number, family: Family, endpoint: Endpoint): void {
  must(libc().bind(fd, sockaddr(family, endpoint)), `bind to ${endpoint.address} ${endpoint.port}`);
}

/** 0, or what connect(2) said at once other than that it is under way. */
export function connectTo(fd: number, family: Family, endpoint: Endpoint): string | undefined {
  const result = libc().connect(fd, sockaddr(family, endpoint));
  const errno = result < 0 ? errnoName(result) : 'EINPROGRESS';
  return errno === 'EINPROGRESS' ? undefined : errno;
}

/** How a connect ended; undefined if well. */
export function errorOf(fd: number): string | undefined {
  const value = Buffer.alloc(4);
  must(libc().getsockopt(fd, SOL_SOCKET, SO_ERROR, value), 'SO_ERROR');
  const errno = value.readInt32LE();
  return errno === 0 ? undefined : errnoName(-errno);
}

/** The near end of a socket. */
export function nameOf(fd: number, family: Family): Endpoint {
  const value = Buffer.alloc(SOCKADDR_BYTES[family]);
  must(libc().getsockname(fd, value), 'getsockname');
  return readSockaddr(family, value);
}

/** The far end of a connection. */
export function peerOf(fd: number, family: Family): Endpoint {
  const value = Buffer.alloc(SOCKADDR_BYTES[family]);
  // ENOTCONN: reset already. Then it is nobody's.
  return getPeerName(fd, value) < 0 ? { address: ANY[family], port: 0 } : readSockaddr(family, value);
}

/** Where the connection was going before NAT; undefined if conntrack does not know it. */
export function originalOf(fd: number, family: Family): Endpoint | undefined {
  const value = Buffer.alloc(SOCKADDR_BYTES[family]);
  const [level, option] = ORIGINAL_DESTINATION[family];
  return libc().getsockopt(fd, level, option, value) < 0 ? undefined : readSockaddr(family, value);
}

/** One accepted connection, undefined if none waits. */
export function acceptFrom(listener: number): number | undefined {
  const fd = libc().accept4(listener, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return fd < 0 ? undefined : fd;
}

const LINGER_ZERO = Buffer.concat([uint32(1), uint32(0)]);

/** With SO_LINGER 0: an RST ends the connection at both ends, and no TIME_WAIT stays. */
export function closeNow(fd: number): void {
  libc().setsockopt(fd, SOL_SOCKET, SO_LINGER, LINGER_ZERO);
  libc().close(fd);
}
