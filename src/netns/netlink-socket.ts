import { constants } from 'node:os';
import { errnoName, libc } from './libc.ts';
import {
  messagesOf,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  type NetlinkMessage,
  placesIn,
  REPLY_BYTES_MAX,
} from './netlink.ts';

/** asm-generic/socket.h */
const [SOL_SOCKET, SO_NETNS_COOKIE] = [1, 71] as const;
/** linux/socket.h, linux/netlink.h */
const [AF_NETLINK, SOCK_RAW, SOCK_CLOEXEC, MSG_DONTWAIT] = [16, 3, 0o2000000, 0x40] as const;
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

/** Requests to the kernel for the netns in which the socket was made. Throws an Error with an errno name as its message. */
export interface NetlinkSocket {
  /** One request, one datagram of messages. */
  ask(request: Buffer): NetlinkMessage[];
  /** A dump; undefined if what it shows changed meanwhile. */
  dump(request: Buffer): NetlinkMessage[] | undefined;
  /**
   * A dump, without an object for each message: `visit` gets where its body stands in what was received, which the next message may
   * overwrite. False if it was refused, or if what it shows changed meanwhile.
   */
  scan(request: Buffer, visit: (received: Buffer, start: number, end: number) => void): boolean;
  /** Several requests in one; every answer to any of them. */
  transact(requests: Buffer): NetlinkMessage[];
}

/** Descriptors by protocol for as long as a netns is entered; undefined at all other times. */
let kept: Map<number, number> | undefined;
/** One for all: nothing here is asynchronous, and what is received is used up or copied before anything else can be. */
const received = Buffer.allocUnsafeSlow(REPLY_BYTES_MAX);

/** From now on sockets are used again: the calling thread has just entered a netns. */
export function keepSockets(): void {
  kept = new Map();
}

/**
 * Before the calling thread leaves the netns. A socket stays tied to the netns it was made in: one that outlived the visit would talk to
 * this netns from within the next.
 */
export function closeSockets(): void {
  for (const fd of kept?.values() ?? []) libc().close(fd);
  kept = undefined;
}

/** SO_NETNS_COOKIE of the current netns; empty on kernels before 5.14. */
export function netnsCookie(): string {
  return withSocket(NETLINK_ROUTE, (fd) => {
    const value = Buffer.alloc(8);
    const result = libc().getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value);
    return result < 0 ? '' : value.readBigUInt64LE().toString();
  });
}

/**
 * Hands a socket of the current netns to `work`. The kernel answers within send(2), so nothing ever waits. One that failed may hold the
 * rest of an answer, and is not used again.
 */
export function withNetlink<T>(protocol: number, work: (socket: NetlinkSocket) => T): T {
  return withSocket(protocol, (fd) => work(socketOf(fd)));
}

function withSocket<T>(protocol: number, work: (fd: number) => T): T {
  const fd = kept?.get(protocol) ?? valid(libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  kept?.set(protocol, fd);
  let isIntact = false;
  try {
    const result = work(fd);
    isIntact = true;
    return result;
  } finally {
    if (!isIntact || kept === undefined) {
      kept?.delete(protocol);
      libc().close(fd);
    }
  }
}

function socketOf(fd: number): NetlinkSocket {
  const ask = (request: Buffer): NetlinkMessage[] => {
    valid(libc().send(fd, request, 0));
    return messagesOf(receive(fd));
  };
  const dump = (request: Buffer): NetlinkMessage[] | undefined => {
    const messages = ask(request);
    // To its end in any case: a dump that is left half read is in the way of the next request.
    for (;;) {
      const last = messages.at(-1)?.type;
      if (last === NLMSG_DONE || last === NLMSG_ERROR) break;
      messages.push(...messagesOf(receive(fd)));
    }
    return messages.some(({ flags }) => (flags & NLM_F_DUMP_INTR) !== 0) ? undefined : messages;
  };
  const transact = (requests: Buffer): NetlinkMessage[] => {
    valid(libc().send(fd, requests, 0));
    const messages: NetlinkMessage[] = [];
    for (;;) {
      const datagram = receiveIfAny(fd);
      if (datagram === undefined) return messages;
      messages.push(...messagesOf(datagram));
    }
  };
  const scan = (request: Buffer, visit: (received: Buffer, start: number, end: number) => void): boolean => {
    valid(libc().send(fd, request, 0));
    let intact = true;
    for (;;) {
      const length = receiveInto(fd);
      if (length === undefined) throw new Error('EAGAIN');
      for (const { type, flags, start, end } of placesIn(received, length)) {
        intact &&= type !== NLMSG_ERROR && (flags & NLM_F_DUMP_INTR) === 0;
        if (type === NLMSG_DONE || type === NLMSG_ERROR) return intact;
        visit(received, start, end);
      }
    }
  };
  return { ask, dump, scan, transact };
}

function receive(fd: number): Buffer {
  const datagram = receiveIfAny(fd);
  if (datagram === undefined) throw new Error('EAGAIN');
  return datagram;
}

/** Undefined if nothing waits. */
function receiveIfAny(fd: number): Buffer | undefined {
  const length = receiveInto(fd);
  return length === undefined ? undefined : Buffer.from(received.subarray(0, length));
}

function receiveInto(fd: number): number | undefined {
  const length = libc().recv(fd, received, MSG_DONTWAIT);
  return length === -constants.errno.EAGAIN ? undefined : valid(length);
}

function valid(result: number): number {
  if (result < 0) throw new Error(errnoName(result));
  return result;
}
