import type { Sourced } from '../capture/policy.ts';
import type { AddressTarget, ConnectionState, Match, PortTarget, Rule, Verdict } from './ruleset.ts';

/** Short words for rules, so that build.ts reads like a rule listing. */

export function rule(reason: string, matches: readonly Match[], verdict: Verdict): Rule {
  return { matches, verdict, reason };
}

/** A reason with the setting behind it: `excluded outbound ports: annotation traffic.sidecar.istio.io/excludeOutboundPorts`. */
export function because(what: string, setting: Sourced<unknown>): string {
  const { kind, key } = setting.source;
  // The path of a securityContext holds the name of a container, which may be long.
  return kind === 'default' || kind === 'securityContext' ? `${what}: ${kind}` : `${what}: ${kind} ${key}`;
}

export const RETURN: Verdict = { kind: 'return' };
export const ACCEPT: Verdict = { kind: 'accept' };
export const DROP: Verdict = { kind: 'drop' };
export const SAVE_MARK: Verdict = { kind: 'saveMark' };
export const RESTORE_MARK: Verdict = { kind: 'restoreMark' };

export function jump(chain: string): Verdict {
  return { kind: 'jump', chain };
}

export function redirect(port: number): Verdict {
  return { kind: 'redirect', port };
}

export function setMark(mark: number): Verdict {
  return { kind: 'setMark', mark };
}

export function zone(id: number): Verdict {
  return { kind: 'zone', zone: id };
}

export const TCP: Match = { kind: 'protocol', protocol: 'tcp' };

export function inputInterface(name: string): Match {
  return { kind: 'inputInterface', name, negate: false };
}

export function outputInterface(name: string): Match {
  return { kind: 'outputInterface', name, negate: false };
}

export function tcpPort(ports: PortTarget): Match {
  return { kind: 'destinationPort', protocol: 'tcp', ports, negate: false };
}

export function tcpPortOtherThan(ports: PortTarget): Match {
  return { kind: 'destinationPort', protocol: 'tcp', ports, negate: true };
}

export function udpPort(ports: PortTarget): Match {
  return { kind: 'destinationPort', protocol: 'udp', ports, negate: false };
}

export function udpFromPort(port: number): Match {
  return { kind: 'sourcePort', protocol: 'udp', ports: { port }, negate: false };
}

export function packetMark(mark: number): Match {
  return { kind: 'packetMark', mark, negate: false };
}

export function packetMarkOtherThan(mark: number): Match {
  return { kind: 'packetMark', mark, negate: true };
}

export function connectionMark(mark: number): Match {
  return { kind: 'connectionMark', mark, negate: false };
}

export function connectionState(...states: readonly ConnectionState[]): Match {
  return { kind: 'connectionState', states };
}

export function from(addresses: AddressTarget): Match {
  return { kind: 'sourceAddress', addresses, negate: false };
}

export function to(addresses: AddressTarget): Match {
  return { kind: 'destinationAddress', addresses, negate: false };
}

export function toOtherThan(addresses: AddressTarget): Match {
  return { kind: 'destinationAddress', addresses, negate: true };
}

export function owner(kind: 'socketUid' | 'socketGid', id: number): Match {
  return { kind, id, negate: false };
}

export function ownerOtherThan(kind: 'socketUid' | 'socketGid', id: number): Match {
  return { kind, id, negate: true };
}
