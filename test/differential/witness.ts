import { libc } from '../../src/netns/libc.ts';
import type { Family } from './places.ts';
import { openSocket, RAW } from './sockets.ts';
import { firstReady } from './syscalls.ts';
import type { Place, World } from './world.ts';

/** Sees TCP segments that belong to no connection: raw sockets are given a copy of whatever is delivered to their netns. */

export const IPPROTO_TCP = 6;
export const [SYN, SYN_ACK] = [0x02, 0x12] as const;
const [POLLIN, MSG_DONTWAIT] = [1, 0x40] as const;
const FLAGS = 0x3f;
const PACKET_BYTES = 128;
const PLACES: readonly Place[] = ['pod', 'outside', 'guest'];

/** Where a segment was delivered, and to which port. */
export interface Sight {
  readonly place: Place;
  readonly port: number;
}

interface Segment {
  readonly sourcePort: number;
  readonly flags: number;
}

/** `sightOf` tells where a segment came out that was sent within `work`; undefined if nowhere. */
export function withWitness<T>(
  world: World,
  family: Family,
  work: (sightOf: (segment: Segment) => Sight | undefined) => T,
): T {
  const sockets = PLACES.map((place) => ({
    place,
    fd: world.inside(place, () => openSocket(family, RAW, IPPROTO_TCP)),
  }));
  try {
    return work((segment) => sightOf(sockets, segment, { family, silenceMs: world.silenceMs }));
  } finally {
    for (const { fd } of sockets) libc().close(fd);
  }
}

function sightOf(
  sockets: readonly { readonly place: Place; readonly fd: number }[],
  { sourcePort, flags }: Segment,
  { family, silenceMs }: { readonly family: Family; readonly silenceMs: number },
): Sight | undefined {
  const watched = sockets.map(({ fd }) => ({ fd, events: POLLIN }));
  const data = Buffer.alloc(PACKET_BYTES);
  for (let ready = firstReady(watched, silenceMs); ready !== undefined; ready = firstReady(watched, silenceMs)) {
    const socket = sockets.find(({ fd }) => fd === ready);
    if (socket === undefined || libc().recv(ready, data, MSG_DONTWAIT) < 0) continue;
    // Of a raw IPv4 socket, the IP header stands in front.
    const segment = family === 4 ? data.subarray(4 * (data.readUInt8(0) & 15)) : data;
    const found = segment.readUInt16BE(0) === sourcePort && (segment.readUInt8(13) & FLAGS) === flags;
    if (found) return { place: socket.place, port: segment.readUInt16BE(2) };
  }
  return undefined;
}
