import { ANY, bindTo, closeNow, connectTo, openSocket, setMark, setOption, TCP, UDP } from './sockets.ts';
import { asOwner } from './syscalls.ts';
import type { Trial } from './trial.ts';
import type { Place, World } from './world.ts';

/** Whoever sends a packet. All sockets are of this process, so nobody else's traffic is in the way. */

/** asm-generic/poll.h, linux/socket.h */
export const [POLLIN, POLLOUT, MSG_DONTWAIT] = [1, 4, 0x40] as const;
export const TOKEN_BYTES = 8;

/** The descriptor of a socket that connects, or the name of the error. */
export function startTcp(world: World, trial: Trial): number | string {
  return world.inside(placeOf(trial), () => {
    const fd = clientSocket(trial, TCP);
    const errno = connectTo(fd, trial.family, trial.to);
    if (errno === undefined) return fd;
    closeNow(fd);
    return errno;
  });
}

export function placeOf({ direction, interface: name }: Trial): Place {
  if (direction === 'outbound') return 'pod';
  return name === 'virt0' ? 'guest' : 'outside';
}

export function clientSocket(trial: Trial, type: typeof TCP | typeof UDP): number {
  const { family, from, mark } = trial;
  const fd = asOwner(trial.owner ?? { uid: 0, gid: 0 }, () => openSocket(family, type));
  if (mark !== 0) setMark(fd, mark);
  if (from.address === undefined && from.port === 0) return fd;
  setOption(fd, family, 'reuseAddress');
  // The address may be one that the netns lacks: the proxy speaks with its client's, a client of the outside with any.
  if (from.address !== undefined) setOption(fd, family, 'transparent');
  bindTo(fd, family, { address: from.address ?? ANY[family], port: from.port });
  return fd;
}

let tokens = 0n;

/** What one packet carries and no other. */
export function nextToken(): Buffer {
  const token = Buffer.alloc(TOKEN_BYTES);
  token.writeBigUInt64BE((tokens += 1n));
  return token;
}
