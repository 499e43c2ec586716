import { type Family, formatAddress, parseAddress, WIDTH } from '../address.ts';
import { argument, firstOf, type Inputs, istioDefault, switchOf } from './inputs.ts';
import { ARGUMENTS } from './istio-flags.ts';
import type { Cidr, DnsCapture, Problem, Sourced } from './policy.ts';
import { VARIABLES } from './variables.ts';
import { parseBoolean } from './words.ts';

const OFF: DnsCapture = { kind: 'off' };
const ALL: DnsCapture = { kind: 'all' };

/** kubelet writes at most three, as the C library reads; more are for pods of stranger making. */
export const NAMESERVERS_MAX = 16;

/**
 * Which queries the proxy answers. Istio's CNI captures all of them; its init container only those to the servers in the pod's
 * resolv.conf, unless CAPTURE_ALL_DNS says otherwise, and none where it finds no server there. Where the pod's servers cannot be known,
 * all are captured: more than Istio would, never less.
 */
export function dnsCapture(
  inputs: Inputs,
  nameservers: readonly string[] | undefined,
  problems: Problem[],
): Sourced<DnsCapture> {
  const captured = firstOf(
    switchOf(inputs, ARGUMENTS.redirectDns, VARIABLES.dnsCapture),
    parseBoolean,
    istioDefault(false),
    problems,
  );
  const everything = firstOf(
    [argument(inputs, ARGUMENTS.captureAllDns)],
    parseBoolean,
    istioDefault(inputs.injectedForCni),
    problems,
  );
  const { source } = captured;
  if (!captured.value) return { value: OFF, source };
  const known = nameservers ?? inputs.pod.nameservers;
  if (everything.value || known === undefined) return { value: ALL, source };
  const servers = distinct(known.flatMap(serverOf)).slice(0, NAMESERVERS_MAX);
  if (servers.length > 0) return { value: { kind: 'servers', servers }, source };
  return { value: OFF, source: { ...source, raw: `${source.raw}, but the pod has no name server that is an address` } };
}

/**
 * A text that is no address is passed over, as by Istio's tool. Two kinds of address that tool stumbles over are taken for what they are on
 * the wire: a zone id (its rules are not loaded) is a matter of the sender, and IPv4 in IPv6 form (its rule matches nothing) is IPv4.
 */
function serverOf(text: string): readonly Cidr[] {
  const [address = '', zone] = text.split('%', 2);
  const family = address.includes(':') ? 6 : 4;
  const bits = parseAddress(family, address);
  if (bits === undefined || (zone !== undefined && (family === 4 || zone === ''))) return [];
  if (family === 6 && bits >> 32n === MAPPED_IPV4) return [hostRange(4, bits & 0xffff_ffffn)];
  return [hostRange(family, bits)];
}

/** The first 96 bits of `::ffff:0:0/96` (RFC 4291, 2.5.5.2). */
const MAPPED_IPV4 = 0xffffn;

function hostRange(family: Family, bits: bigint): Cidr {
  return { family, address: formatAddress(family, bits), prefix: WIDTH[family] };
}

function distinct(servers: readonly Cidr[]): readonly Cidr[] {
  return [...new Map(servers.map((server) => [server.address, server])).values()];
}
