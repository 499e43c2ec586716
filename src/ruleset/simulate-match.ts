import { containsCidr, parseCidr } from '../capture/cidr.ts';
import type { Cidr } from '../capture/policy.ts';
import type { AddressTarget, ConnectionState, Match, PortTarget, Ruleset } from './ruleset.ts';

/** A packet at one hook: what a rule can ask about it there. */
export interface PacketAt {
  readonly family: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  readonly source: { readonly address: string; readonly port: number };
  readonly destination: { readonly address: string; readonly port: number };
  /** Only at prerouting, only at output. */
  readonly inputInterface: string | undefined;
  readonly outputInterface: string | undefined;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly mark: number;
  readonly connection: { readonly state: ConnectionState; readonly mark: number };
}

/** Would the kernel say that this match holds? Pure. */
export function holds(match: Match, packet: PacketAt, sets: Ruleset['sets']): boolean {
  switch (match.kind) {
    case 'inputInterface':
      // At output there is none: nft compares with an empty name.
      return (packet.inputInterface === match.name) !== match.negate;
    case 'outputInterface':
      return (packet.outputInterface === match.name) !== match.negate;
    case 'protocol':
      return packet.protocol === match.protocol;
    case 'family':
      return packet.family === match.family;
    case 'destinationPort':
    case 'sourcePort': {
      // The port of another protocol is not there: nft's implied protocol match fails first, negated or not.
      if (packet.protocol !== match.protocol) return false;
      const { port } = match.kind === 'sourcePort' ? packet.source : packet.destination;
      return holdsPort(match.ports, port, sets) !== match.negate;
    }
    case 'sourceAddress':
    case 'destinationAddress': {
      if (packet.family !== match.addresses.family) return false;
      const { address } = match.kind === 'sourceAddress' ? packet.source : packet.destination;
      return holdsAddress(match.addresses, address, sets) !== match.negate;
    }
    case 'socketUid':
      // A packet without a socket ends the rule (NFT_BREAK in nft_meta), negated or not.
      return packet.owner !== undefined && (packet.owner.uid === match.id) !== match.negate;
    case 'socketGid':
      return packet.owner !== undefined && (packet.owner.gid === match.id) !== match.negate;
    case 'packetMark':
      return (packet.mark === match.mark) !== match.negate;
    case 'connectionMark':
      // Neither an invalid nor an untracked packet has a connection to ask.
      return isTracked(packet) && (packet.connection.mark === match.mark) !== match.negate;
    case 'connectionState':
      return match.states.includes(packet.connection.state);
  }
}

/** Does conntrack hold a connection for the packet? */
export function isTracked({ connection: { state } }: Pick<PacketAt, 'connection'>): boolean {
  return state !== 'invalid' && state !== 'untracked';
}

function holdsPort(target: PortTarget, port: number, sets: Ruleset['sets']): boolean {
  if ('port' in target) return target.port === port;
  const set = sets.find(({ name }) => name === target.set);
  return set?.type === 'port' && set.elements.includes(port);
}

function holdsAddress(target: AddressTarget, address: string, sets: Ruleset['sets']): boolean {
  const { family } = target;
  const host = parseCidr(`${address}/${family === 4 ? 32 : 128}`);
  if (!host.ok) return false;
  if (!('set' in target)) return containsCidr(target, host.value);
  const set = sets.find(({ name }) => name === target.set);
  if (set === undefined || set.type === 'port') return false;
  return set.elements.some((element) => containsCidr(rangeOf(family, element), host.value));
}

function rangeOf(family: 4 | 6, element: { readonly address: string; readonly prefix: number }): Cidr {
  return { family, ...element };
}
