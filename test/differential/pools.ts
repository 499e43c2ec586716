import { addressIn } from '../../src/capture/cidr.ts';
import { canonical, writeAddress } from '../../src/netns/sockaddr.ts';
import type { Inputs } from './inputs.ts';
import { CLIENT, type Family, INTERFACES, LINKS, LOOPBACK, PASSTHROUGH, range, routeTo, SERVICE } from './places.ts';

/** What packets are made of: values at and beside the borders of the policy they meet, the plainest first. */

export function outboundAddresses(inputs: Inputs, family: Family): readonly string[] {
  const { outboundRanges, excludeOutboundRanges, loopbackRange, nameServers } = inputs;
  const ranges = [...(outboundRanges === '*' ? [] : outboundRanges), ...excludeOutboundRanges, loopbackRange];
  const candidates = [
    SERVICE[family],
    LINKS.eth0[family].pod,
    LOOPBACK[family],
    ...nameServers,
    ...INTERFACES.flatMap((name) => [LINKS[name][family].peer, LINKS[name][family].pod]),
    ...(family === 4 ? [PASSTHROUGH[4]] : []),
    ...ranges.flatMap(bordersOf),
  ];
  return unique(candidates.map(canonical)).filter(
    (address) => address.includes(':') === (family === 6) && routeTo(family, address) !== undefined,
  );
}

/** The first and the last address of a range, and those before and after. */
function bordersOf(text: string): readonly string[] {
  const cidr = range(text);
  const bits = cidr.family === 4 ? 32 : 128;
  const size = 1n << BigInt(bits - cidr.prefix);
  const limit = 1n << BigInt(bits);
  const first = BigInt(`0x${hexOf(cidr.address, cidr.family)}`);
  const zero = { family: cidr.family, address: cidr.family === 4 ? '0.0.0.0' : '::', prefix: 0 };
  return [first, first + size - 1n, first - 1n, first + size]
    .filter((one) => one >= 0n && one < limit)
    .map((one) => addressIn(zero, one));
}

export function tcpPorts(inputs: Inputs): readonly number[] {
  const { inboundPorts } = inputs;
  const listed = [
    ...(inboundPorts === '*' ? [] : inboundPorts),
    ...inputs.excludeInboundPorts,
    ...inputs.outboundPorts,
    ...inputs.excludeOutboundPorts,
    inputs.tunnelPort,
    inputs.outboundPort,
    inputs.inboundPort,
  ];
  const around = listed.flatMap((port) => [port, port - 1, port + 1]);
  return unique([80, ...around, 53, 52, 15_053, 15_020]).filter((port) => port > 0 && port < 65_536);
}

export function udpPorts(inputs: Inputs): readonly number[] {
  // Of UDP, only DNS is anybody's business.
  return [53, 80, 53, 54, 53, ...inputs.excludeOutboundPorts];
}

export function owners(inputs: Inputs): readonly { readonly uid: number; readonly gid: number }[] {
  const { uids, gids, ownerGroups, excludeOwnerGroups } = inputs;
  const groups = [...(ownerGroups === '*' ? [] : ownerGroups), ...excludeOwnerGroups];
  const [uid = 1337] = uids;
  const [gid = 1337] = gids;
  return [
    { uid: 1_000, gid: 1_000 },
    { uid, gid },
    { uid, gid: 1_000 },
    { uid: 1_000, gid },
    ...groups.map((group) => ({ uid: 1_000, gid: group })),
    ...uids.slice(1).map((one) => ({ uid: one, gid: 1_000 })),
    ...gids.slice(1).map((one) => ({ uid: 1_000, gid: one })),
    { uid: 0, gid: 0 },
    { uid: uid + 1, gid: gid + 1 },
  ];
}

/** Of packets that stay in the pod; undefined is the kernel's choice. */
export function loopbackSources(family: Family): readonly (string | undefined)[] {
  return [undefined, PASSTHROUGH[family], LOOPBACK[family], LINKS.eth0[family].pod];
}

export function marks(inputs: Inputs): readonly number[] {
  return [0, inputs.tproxyMark, 1338, inputs.tproxyMark + 1];
}

export const inboundSources = (family: Family): readonly (string | undefined)[] => [undefined, CLIENT[family]];

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}

function hexOf(address: string, family: Family): string {
  return writeAddress(family, address).toString('hex');
}
