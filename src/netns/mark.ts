import { ControllerError } from '../errors.ts';
import { errnoName, libc } from './libc.ts';
import { MARK_BYTES_MAX, type Mark, parseMark } from './mark-text.ts';
import { aliasOf, errorOf, getLink, messagesOf, NLMSG_ERROR, RTM_NEWLINK, setAlias } from './rtnetlink.ts';

/** linux/socket.h, linux/netlink.h */
const [AF_NETLINK, SOCK_RAW, SOCK_CLOEXEC, NETLINK_ROUTE, MSG_DONTWAIT] = [16, 3, 0o2000000, 0, 0x40] as const;
/** An RTM_NEWLINK without statistics is about 1.2 KiB; the kernel's own limit for one message is 32 KiB. */
const REPLY_BYTES_MAX = 32 * 1024;

/**
 * The mark of the netns the calling thread is in: the alias of `lo`. Over rtnetlink, because `/sys/class/net` shows the netns in which
 * it was mounted, which in the agent's container is the agent's own.
 */
export function readMark(): Mark {
  return parseMark(readAlias());
}

/** Sets the alias of `lo` in the current netns; `text` as `readyMark` and `refusedMark` make it. */
export function writeMark(text: string): void {
  if (Buffer.byteLength(text) > MARK_BYTES_MAX || text.includes('\0')) {
    throw new ControllerError('Internal', `a mark of ${Buffer.byteLength(text)} bytes cannot be an interface alias`);
  }
  const reply = errorOf(ask(setAlias(text), NLMSG_ERROR));
  if (reply < 0) throw markFailure('written', errnoName(reply));
}

/** Removes the alias of `lo` in the current netns, whosever it is: callers read it first. */
export function clearMark(): void {
  writeMark('');
}

function readAlias(): string {
  const reply = ask(getLink(), RTM_NEWLINK);
  const error = reply.type === NLMSG_ERROR ? errorOf(reply) : 0;
  if (error < 0) throw markFailure('read', errnoName(error));
  return aliasOf(reply);
}

/** One request, one reply. The kernel answers rtnetlink within send(2), so there is nothing to wait for. */
function ask(request: Buffer, expected: number): { type: number; body: Buffer } {
  const calls = libc();
  const fd = calls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) throw markFailure('reached', errnoName(fd));
  try {
    const sent = calls.send(fd, request, 0);
    if (sent < 0) throw markFailure('reached', errnoName(sent));
    const buffer = Buffer.allocUnsafe(REPLY_BYTES_MAX);
    const length = calls.recv(fd, buffer, MSG_DONTWAIT);
    if (length < 0) throw markFailure('reached', errnoName(length));
    const messages = messagesOf(buffer.subarray(0, length));
    const reply = messages.find(({ type }) => type === expected || type === NLMSG_ERROR);
    if (reply === undefined) throw markFailure('reached', `unexpected reply of ${length} bytes`);
    return reply;
  } finally {
    calls.close(fd);
  }
}

function markFailure(verb: string, why: string): ControllerError {
  if (why === 'EPERM') {
    return new ControllerError('NotPermitted', `the alias of lo cannot be ${verb}: EPERM`, {
      hint: 'The process needs CAP_NET_ADMIN over the network namespace.',
    });
  }
  return new ControllerError('MarkFailed', `the alias of lo cannot be ${verb}: ${why}`);
}
