import { errnoName, libc } from './libc.ts';
import {
  messagesOf,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  type NetlinkMessage,
  REPLY_BYTES_MAX,
} from './netlink.ts';

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
}

/** Makes a socket in the current netns for the time of `work`. The kernel answers within send(2), so nothing ever waits. */
export function withNetlink<T>(protocol: number, work: (socket: NetlinkSocket) => T): T {
  const calls = libc();
  const fd = valid(calls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  const buffer = Buffer.allocUnsafe(REPLY_BYTES_MAX);
  const receive = (): NetlinkMessage[] => {
    const length = valid(calls.recv(fd, buffer, MSG_DONTWAIT));
    return messagesOf(Buffer.from(buffer.subarray(0, length)));
  };
  const ask = (request: Buffer): NetlinkMessage[] => {
    valid(calls.send(fd, request, 0));
    return receive();
  };
  const dump = (request: Buffer): NetlinkMessage[] | undefined => {
    const messages = ask(request);
    // To its end in any case: a dump that is left half read is in the way of the next request.
    for (;;) {
      const last = messages.at(-1)?.type;
      if (last === NLMSG_DONE || last === NLMSG_ERROR) break;
      messages.push(...receive());
    }
    return messages.some(({ flags }) => (flags & NLM_F_DUMP_INTR) !== 0) ? undefined : messages;
  };
  try {
    return work({ ask, dump });
  } finally {
    calls.close(fd);
  }
}

function valid(result: number): number {
  if (result < 0) throw new Error(errnoName(result));
  return result;
}
