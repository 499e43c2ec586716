import { type Family, formatRange, mergeRanges, prefixRange, rangePrefixes } from '../../address.ts';
import type {
  AddressTarget,
  ConnectionState,
  Match,
  PortTarget,
  Rule,
  RuleSetDefinition,
  Verdict,
} from '../../ruleset/ruleset.ts';
import { guardFor, ID_MAX, MARK_MAX, PORT_MAX } from '../guard.ts';
import { chainName } from './names.ts';

const { comment, number, policyComment, protocol, unfit } = guardFor('iptables rules');

/**
 * One rule of the ruleset as the rules iptables needs for it in one family, each as `iptables-save` prints it: what is written and what
 * is read back are the same text. None if the rule can match nothing in this family.
 * iptables has no sets (ipset is a module and a program of its own): a rule with a list of addresses becomes one rule for each, one with
 * a list of ports one for each 15.
 */
export function ruleSpecs(rule: Rule, family: Family, sets: ReadonlyMap<string, RuleSetDefinition>): readonly string[] {
  if (!concerns(rule, family)) return [];
  const alternatives = rule.matches.map((match) => matchParts(match, family, sets));
  const tail = ['-m comment --comment', `"${comment(rule.reason)}"`, '-j', targetText(rule.verdict)].join(' ');
  const protocols = new Set(rule.matches.flatMap((match) => ('protocol' in match ? [protocol(match.protocol)] : [])));
  if (protocols.size > 1) return [];
  const header = [...protocols].map((name) => ({ place: 'protocol', text: `-p ${name}` }) as const);
  return combinations(alternatives).map((parts) => [...ordered([...parts.flat(), ...header]), tail].join(' '));
}

/** A jump from a built-in chain to a chain of ours. */
export function jumpSpec(target: string): string {
  return `-m comment --comment "istio-pod-network-controller" -j ${target}`;
}

/** The rule whose comment carries the policy hash. */
export function policySpec(policyHash: string): string {
  return `-m comment --comment "${policyComment(policyHash)}" -j RETURN`;
}

/** Where a match stands in a rule as `iptables-save` prints it: the header's fields in a fixed order, then extensions as they were given. */
const PLACES = ['source', 'destination', 'input', 'output', 'protocol', 'extension'] as const;

interface Part {
  readonly place: (typeof PLACES)[number];
  readonly text: string;
}

function ordered(parts: readonly Part[]): readonly string[] {
  return PLACES.flatMap((place) => parts.filter((part) => part.place === place).map(({ text }) => text));
}

/** Alternatives, each of one or more parts: a packet that fits one of them fits the match. */
function matchParts(
  match: Match,
  family: Family,
  sets: ReadonlyMap<string, RuleSetDefinition>,
): readonly (readonly Part[])[] {
  switch (match.kind) {
    case 'inputInterface':
      return [[{ place: 'input', text: `${not(match.negate)}-i ${interfaceName(match.name)}` }]];
    case 'outputInterface':
      return [[{ place: 'output', text: `${not(match.negate)}-o ${interfaceName(match.name)}` }]];
    case 'family':
    case 'protocol':
      return [[]];
    case 'destinationPort':
    case 'sourcePort':
      return portParts(match, portsOf(match.ports, sets));
    case 'sourceAddress':
      return addressParts('source', family, match.negate, addressesOf(match.addresses, family, sets));
    case 'destinationAddress':
      return addressParts('destination', family, match.negate, addressesOf(match.addresses, family, sets));
    case 'socketUid':
      return extension(`-m owner ${not(match.negate)}--uid-owner ${number(match.id, ID_MAX)}`);
    case 'socketGid':
      return extension(`-m owner ${not(match.negate)}--gid-owner ${number(match.id, ID_MAX)}`);
    case 'packetMark':
      return extension(`-m mark ${not(match.negate)}--mark ${hex(match.mark)}`);
    case 'connectionMark':
      return extension(`-m connmark ${not(match.negate)}--mark ${hex(match.mark)}`);
    case 'connectionState':
      return extension(`-m conntrack --ctstate ${stateText(match.states)}`);
  }
}

function portParts(
  match: Extract<Match, { kind: 'destinationPort' | 'sourcePort' }>,
  ports: readonly number[],
): readonly (readonly Part[])[] {
  const [short, long] = match.kind === 'destinationPort' ? ['--dport', '--dports'] : ['--sport', '--sports'];
  const groups = Array.from({ length: Math.ceil(ports.length / MULTIPORT_MAX) }, (_, index) =>
    ports.slice(index * MULTIPORT_MAX, (index + 1) * MULTIPORT_MAX),
  );
  const texts = groups.map((group) =>
    group.length === 1
      ? `-m ${protocol(match.protocol)} ${not(match.negate)}${short} ${group[0]}`
      : `-m multiport ${not(match.negate)}${long} ${group.join(',')}`,
  );
  const parts = texts.map((text) => ({ place: 'extension', text }) as const);
  // None of several groups: all in one rule. One of several groups: a rule for each.
  return match.negate ? [parts] : parts.map((part) => [part]);
}

function addressParts(
  place: 'source' | 'destination',
  family: Family,
  negate: boolean,
  prefixes: readonly { readonly text: string; readonly prefix: number }[],
): readonly (readonly Part[])[] {
  const option = place === 'source' ? '-s' : '-d';
  // `/0` is not printed: it is every address. Of everything else than every address there is none.
  const everything = prefixes.some(({ prefix }) => prefix === 0);
  if (everything) return negate ? [] : [[]];
  if (negate && prefixes.length > 1) throw unfit(`negated list of IPv${family} addresses`, String(prefixes.length));
  if (negate && prefixes.length === 0) return [[]];
  return prefixes.map(({ text }) => [{ place, text: `${not(negate)}${option} ${text}` }]);
}

function targetText(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'return':
      return 'RETURN';
    case 'accept':
      return 'ACCEPT';
    case 'drop':
      return 'DROP';
    case 'jump':
      return chainName(verdict.chain);
    case 'redirect':
      return `REDIRECT --to-ports ${number(verdict.port, PORT_MAX)}`;
    case 'tproxy':
      return `TPROXY --on-port ${number(verdict.port, PORT_MAX)} --on-ip ${verdict.family === 4 ? '0.0.0.0' : '::'} --tproxy-mark ${hex(verdict.mark)}/0xffffffff`;
    case 'setMark':
      return `MARK --set-xmark ${hex(verdict.mark)}/0xffffffff`;
    case 'saveMark':
      return 'CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff';
    case 'restoreMark':
      return 'CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff';
    case 'zone':
      return `CT --zone ${number(verdict.zone, PORT_MAX)}`;
  }
}

/** False for a rule that only matches packets of the other family. */
function concerns({ matches, verdict }: Rule, family: Family): boolean {
  const families = matches.flatMap((match) => {
    if (match.kind === 'family') return [match.family];
    return 'addresses' in match ? [match.addresses.family] : [];
  });
  if (verdict.kind === 'tproxy') families.push(verdict.family);
  return families.every((one) => one === family);
}

function portsOf(target: PortTarget, sets: ReadonlyMap<string, RuleSetDefinition>): readonly number[] {
  if ('port' in target) return [checkedPort(target.port)];
  const set = sets.get(target.set);
  if (set?.type !== 'port') throw unfit('set of ports', target.set);
  return [...new Set(set.elements)].toSorted((a, b) => a - b).map(checkedPort);
}

/** Overlapping and adjacent ranges are merged, then cut into prefixes again: as few rules as can be, and no address in two of them. */
function addressesOf(
  target: AddressTarget,
  family: Family,
  sets: ReadonlyMap<string, RuleSetDefinition>,
): readonly { readonly text: string; readonly prefix: number }[] {
  const elements = 'set' in target ? setAddresses(target.set, family, sets) : [target];
  const ranges = elements.map(({ address, prefix }) => {
    const range = prefixRange(family, address, prefix);
    if (range === undefined) throw unfit(`IPv${family} range`, `${address}/${prefix}`);
    return range;
  });
  return mergeRanges(ranges).flatMap((range) =>
    rangePrefixes(family, range).map(({ first, prefix }) => ({
      text: `${formatRange(family, { first, last: first })}/${prefix}`,
      prefix,
    })),
  );
}

function setAddresses(
  name: string,
  family: Family,
  sets: ReadonlyMap<string, RuleSetDefinition>,
): readonly { readonly address: string; readonly prefix: number }[] {
  const set = sets.get(name);
  if (set === undefined || set.type === 'port' || set.type !== `ipv${family}`)
    throw unfit(`set of IPv${family} ranges`, name);
  return set.elements;
}

function combinations(
  alternatives: readonly (readonly (readonly Part[])[])[],
): readonly (readonly (readonly Part[])[])[] {
  return alternatives.reduce<readonly (readonly (readonly Part[])[])[]>(
    (found, choices) => found.flatMap((parts) => choices.map((choice) => [...parts, choice])),
    [[]],
  );
}

function extension(text: string): readonly (readonly Part[])[] {
  return [[{ place: 'extension', text }]];
}

function not(negate: boolean): string {
  return negate ? '! ' : '';
}

/** In the order in which libxt_conntrack prints them. */
function stateText(states: readonly ConnectionState[]): string {
  const order: readonly ConnectionState[] = ['invalid', 'new', 'related', 'established', 'untracked'];
  const text = order.filter((state) => states.includes(state)).join(',');
  if (text === '') throw unfit('connection state', String(states));
  return text.toUpperCase();
}

/** At most 15 bytes (IFNAMSIZ 16); a trailing `+` would be iptables' wildcard, a leading `-` or `!` an option: neither is let through. */
function interfaceName(name: string): string {
  if (!/^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,14}$/.test(name)) throw unfit('interface name', name);
  return name;
}

function checkedPort(port: number): number {
  number(port, PORT_MAX);
  return port;
}

function hex(value: number): string {
  return `0x${Number(number(value, MARK_MAX)).toString(16)}`;
}

/** XT_MULTI_PORTS of linux/netfilter/xt_multiport.h. */
const MULTIPORT_MAX = 15;
