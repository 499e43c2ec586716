import { ControllerError, messageOf } from '../errors.ts';
import { errnoName } from './libc.ts';
import { MARK_BYTES_MAX, type Mark, parseMark } from './mark-text.ts';
import { errorOf, NLMSG_ERROR, type NetlinkMessage } from './netlink.ts';
import { NETLINK_ROUTE, withNetlink } from './netlink-socket.ts';
import { aliasOf, getLink, RTM_NEWLINK, setAlias } from './rtnetlink.ts';

/**
 * The mark of the netns the calling thread is in: the alias of `lo`. Over rtnetlink, because `/sys/class/net` shows the netns in which
 * it was mounted, which in the agent's container is the agent's own.
 */
export function readMark(): Mark {
  const reply = ask(getLink(), 'read');
  if (reply.type !== RTM_NEWLINK) throw markFailure('read', `unexpected message ${reply.type}`);
  return parseMark(aliasOf(reply));
}

/** Sets the alias of `lo` in the current netns; `text` as `readyMark` and `refusedMark` make it. */
export function writeMark(text: string): void {
  if (Buffer.byteLength(text) > MARK_BYTES_MAX || text.includes('\0')) {
    throw new ControllerError('Internal', `a mark of ${Buffer.byteLength(text)} bytes cannot be an interface alias`);
  }
  ask(setAlias(text), 'written');
}

/** Removes the alias of `lo` in the current netns, whosever it is: callers read it first. */
export function clearMark(): void {
  writeMark('');
}

function ask(request: Buffer, verb: string): NetlinkMessage {
  const reply = exchange(request, verb);
  const error = reply.type === NLMSG_ERROR ? errorOf(reply) : 0;
  if (error < 0) throw markFailure(verb, errnoName(error));
  return reply;
}

function exchange(request: Buffer, verb: string): NetlinkMessage {
  let reply: NetlinkMessage | undefined;
  try {
    [reply] = withNetlink(NETLINK_ROUTE, (socket) => socket.ask(request));
  } catch (error: unknown) {
    throw markFailure(verb, messageOf(error));
  }
  if (reply === undefined) throw markFailure(verb, 'the kernel gave an empty reply');
  return reply;
}

function markFailure(verb: string, why: string): ControllerError {
  if (why === 'EPERM') {
    return new ControllerError('NotPermitted', `the alias of lo cannot be ${verb}: EPERM`, {
      hint: 'The process needs CAP_NET_ADMIN over the network namespace.',
    });
  }
  return new ControllerError('MarkFailed', `the alias of lo cannot be ${verb}: ${why}`);
}
