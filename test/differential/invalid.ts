import { libc, uint32 } from '../../src/netns/libc.ts';
import { type Endpoint, sockaddr, writeAddress } from '../../src/netns/sockaddr.ts';
import { type Family, LINKS } from './places.ts';
import { bindTo, openSocket, RAW } from './sockets.ts';
import { must, sendTo } from './syscalls.ts';
import type { Sighting, Trial } from './trial.ts';
import { IPPROTO_TCP, SYN_ACK, withWitness } from './witness.ts';
import type { World } from './world.ts';

/**
 * A SYN-ACK that answers nothing: the one packet that conntrack always calls invalid (a lone ACK it takes for a connection it missed).
 * Whether it gets through to TCP is seen by a raw socket.
 */
const HEADER_BYTES = 20;
const [IPV6, IPV6_CHECKSUM, CHECKSUM_OFFSET] = [41, 7, 16] as const;
/** Below the ports the kernel gives out, so that no connection has it. */
const SOURCE_PORT_MIN = 20_000;
const SOURCE_PORTS = 10_000;

let sent = 0;

export function observeInvalid(world: World, trial: Trial): Sighting {
  const { family, to } = trial;
  const link = LINKS[trial.interface === 'lo' ? 'eth0' : trial.interface][family];
  const source = { address: link.peer, port: SOURCE_PORT_MIN + (sent++ % SOURCE_PORTS) };
  return withWitness(world, family, (sightOf) => {
    world.inside(trial.interface === 'virt0' ? 'guest' : 'outside', () => sendSynAck(family, source, to));
    const delivered = sightOf({ sourcePort: source.port, flags: SYN_ACK }) !== undefined;
    return { seen: { kind: delivered ? 'passed' : 'dropped' }, source, answered: true };
  });
}

function sendSynAck(family: Family, source: Endpoint, to: Endpoint): void {
  const fd = openSocket(family, RAW, IPPROTO_TCP);
  try {
    bindTo(fd, family, { address: source.address, port: 0 });
    if (family === 6) must(libc().setsockopt(fd, IPV6, IPV6_CHECKSUM, uint32(CHECKSUM_OFFSET)), 'IPV6_CHECKSUM');
    sendTo(fd, synAck(family, source, to), sockaddr(family, { address: to.address, port: 0 }));
  } finally {
    libc().close(fd);
  }
}

function synAck(family: Family, source: Endpoint, to: Endpoint): Buffer {
  const segment = Buffer.alloc(HEADER_BYTES);
  segment.writeUInt16BE(source.port, 0);
  segment.writeUInt16BE(to.port, 2);
  segment.writeUInt32BE(1, 4);
  segment.writeUInt32BE(1, 8);
  segment.writeUInt8((HEADER_BYTES / 4) << 4, 12);
  segment.writeUInt8(SYN_ACK, 13);
  segment.writeUInt16BE(0xffff, 14);
  // A wrong checksum would be invalid for another reason. For IPv6 the kernel fills it in.
  if (family === 4) segment.writeUInt16BE(checksum(segment, source.address, to.address), CHECKSUM_OFFSET);
  return segment;
}

function checksum(segment: Buffer, source: string, to: string): number {
  const pseudo = Buffer.from([0, IPPROTO_TCP, 0, segment.length]);
  const bytes = Buffer.concat([writeAddress(4, source), writeAddress(4, to), pseudo, segment]);
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 2) sum += bytes.readUInt16BE(index);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
