import { isIPv4, isIPv6 } from 'node:net';
import { argument, firstOf, type Inputs, istioDefault, switchOf } from './inputs.ts';
import { ARGUMENTS } from './istio-flags.ts';
import type { Cidr, DnsCapture, Problem, Sourced } from './policy.ts';
import { parseCidr } from './cidr.ts';
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
  const servers = known.flatMap(serverOf).slice(0, NAMESERVERS_MAX);
  return { value: servers.length === 0 ? OFF : { kind: 'servers', servers: distinct(servers) }, source };
}

/** A text that is no address is passed over, as by Istio's tool. An IPv4 address in IPv6 form is IPv4 on the wire, and no IPv6 rule would match it. */
function serverOf(text: string): readonly Cidr[] {
  const family = isIPv4(text) ? 4 : isIPv6(text) ? 6 : undefined;
  if (family === undefined) return [];
  const parsed = parseCidr(`${text}/${family === 4 ? 32 : 128}`);
  return parsed.ok ? [parsed.value] : [];
}

function distinct(servers: readonly Cidr[]): readonly Cidr[] {
  return [...new Map(servers.map((server) => [server.address, server])).values()];
}
