import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { GID_ANNOTATION, UID_ANNOTATION } from '../../src/capture/identity.ts';
import { ARGUMENTS } from '../../src/capture/istio-flags.ts';
import { ANNOTATIONS } from '../../src/capture/resolve.ts';
import { VARIABLES, variableOf } from '../../src/capture/variables.ts';

/**
 * An independent look at what a backend is handed, which shares no code with the renderers: every word must be one that our rules are
 * made of, a number, a canonical address or range, or an interface's name where one may stand.
 */

/** Names of chains and sets, in full: a pod cannot bring one that looks like ours. */
export const NAMES: ReadonlySet<string> = new Set([
  ...['prerouting', 'prerouting_raw', 'prerouting_mangle', 'output', 'output_raw', 'output_mangle'],
  ...['inbound', 'redirect_inbound', 'redirect_outbound', 'redirect_dns', 'tproxy_inbound', 'divert'],
  ...[
    'exclude_inbound_ports',
    'include_inbound_ports',
    'exclude_outbound_ports',
    'include_outbound_ports',
    'proxy_ports',
  ],
  ...['exclude_outbound_ipv4', 'exclude_outbound_ipv6', 'include_outbound_ipv4', 'include_outbound_ipv6'],
  ...['dns_servers_ipv4', 'dns_servers_ipv6'],
]);

export function isNumber(word: string, max = 4_294_967_295): boolean {
  return /^(?:0|[1-9][0-9]{0,9})$/.test(word) && Number(word) <= max;
}

export function isInterface(word: string): boolean {
  return /^[a-zA-Z][a-zA-Z0-9_.-]{0,14}$/.test(word);
}

/** An address as the kernel would print it, alone or with a prefix length. */
export function isRange(word: string): boolean {
  const [address = '', prefix, ...more] = word.split('/');
  if (more.length > 0 || !isCanonical(address)) return false;
  return prefix === undefined || isNumber(prefix, isIPv4(address) ? 32 : 128);
}

function isCanonical(address: string): boolean {
  if (isIPv4(address)) return true;
  if (!isIPv6(address) || address.includes('%')) return false;
  return new SocketAddress({ address, family: 'ipv6' }).address === address;
}

/** A rule's comment says in our own words what the rule is for, and which key the setting stood at; never its value. */
export function isComment(text: string): boolean {
  if (text === 'istio-pod-network-controller' || /^policy [0-9a-f]{16}$/.test(text)) return true;
  const [what = '', source, ...more] = text.split(': ');
  if (more.length > 0 || !/^[A-Za-z0-9 ,]{3,60}$/.test(what)) return false;
  if (source === undefined || source === 'default' || source === 'securityContext') return true;
  const [kind = '', key = '', ...rest] = source.split(' ');
  return rest.length === 0 && KINDS.has(kind) && KEYS.has(key);
}

const KINDS: ReadonlySet<string> = new Set(['override', 'argument', 'environment', 'annotation', 'flag']);
const KEYS: ReadonlySet<string> = new Set([
  UID_ANNOTATION,
  GID_ANNOTATION,
  ...Object.values(ANNOTATIONS),
  ...Object.values(VARIABLES),
  ...Object.values(ARGUMENTS).flatMap((name) => [`--${name}`, variableOf(name) ?? `--${name}`]),
]);
