import { type Family, formatRange, mergeRanges, prefixRange } from '../../address.ts';
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

const GUARD = guardFor('a nft script');
/** For what the renderer writes beside rules: priorities, and the comment of the table. */
export const { number, policyComment } = GUARD;
const { protocol, unfit } = GUARD;

/** A rule in nft's own words, in parts: the renderer joins them, the comparison looks at each. */
export interface RuleText {
  readonly matches: readonly string[];
  readonly verdict: string;
  readonly comment: string;
}

export const SET_TYPES = { port: 'inet_service', ipv4: 'ipv4_addr', ipv6: 'ipv6_addr' } as const;

/**
 * nft's words for a rule. A protocol match beside a port match of the same protocol is left out: nft adds it by itself and
 * does not list it.
 */
export function ruleText(rule: Rule): RuleText {
  const known = RULE_TEXTS.get(rule);
  if (known !== undefined) return known;
  const withPort = new Set(rule.matches.map((match) => ('ports' in match ? match.protocol : undefined)));
  const needed = rule.matches.filter((match) => match.kind !== 'protocol' || !withPort.has(match.protocol));
  const text = {
    matches: needed.map(matchText),
    verdict: verdictText(rule.verdict),
    comment: `comment "${GUARD.comment(rule.reason)}"`,
  };
  RULE_TEXTS.set(rule, text);
  return text;
}

/** Set elements as nft writes them: sorted, without doubles, overlapping ranges merged. */
export function setElements(set: RuleSetDefinition): readonly string[] {
  let elements = SET_ELEMENTS.get(set);
  if (elements === undefined) {
    elements = computeElements(set);
    SET_ELEMENTS.set(set, elements);
  }
  return elements;
}

function computeElements(set: RuleSetDefinition): string[] {
  if (set.type === 'port') {
    return [...new Set(set.elements)].toSorted((a, b) => a - b).map((port) => number(port, PORT_MAX));
  }
  const family: Family = set.type === 'ipv4' ? 4 : 6;
  const ranges = set.elements.map((element) => checkedRange(family, element.address, element.prefix));
  return mergeRanges(ranges).map((range) => formatRange(family, range));
}

/** A name of a table, chain or set. Ours only: no pod chooses one. */
export function identifier(name: string): string {
  if (!/^[a-z][a-z0-9_]{0,63}$/.test(name)) throw unfit('identifier', name);
  return name;
}

function matchText(match: Match): string {
  switch (match.kind) {
    case 'inputInterface':
      return `iifname ${operator(match.negate)}"${interfaceName(match.name)}"`;
    case 'outputInterface':
      return `oifname ${operator(match.negate)}"${interfaceName(match.name)}"`;
    case 'family':
      return `meta nfproto ipv${match.family}`;
    case 'protocol':
      return `meta l4proto ${protocol(match.protocol)}`;
    case 'destinationPort':
      return `${protocol(match.protocol)} dport ${operator(match.negate)}${portText(match.ports)}`;
    case 'sourcePort':
      return `${protocol(match.protocol)} sport ${operator(match.negate)}${portText(match.ports)}`;
    case 'sourceAddress':
      return addressMatch('saddr', match.addresses, match.negate);
    case 'destinationAddress':
      return addressMatch('daddr', match.addresses, match.negate);
    case 'socketUid':
      return `meta skuid ${operator(match.negate)}${number(match.id, ID_MAX)}`;
    case 'socketGid':
      return `meta skgid ${operator(match.negate)}${number(match.id, ID_MAX)}`;
    case 'packetMark':
      return `meta mark ${operator(match.negate)}${number(match.mark, MARK_MAX)}`;
    case 'connectionMark':
      return `ct mark ${operator(match.negate)}${number(match.mark, MARK_MAX)}`;
    case 'connectionState':
      return `ct state ${stateText(match.states)}`;
  }
}

function verdictText(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'return':
    case 'accept':
    case 'drop':
      return verdict.kind;
    case 'jump':
      return `jump ${identifier(verdict.chain)}`;
    case 'redirect':
      return `redirect to :${number(verdict.port, PORT_MAX)}`;
    case 'tproxy':
      // The mark is what the packet is routed by; the socket alone would not keep it from being forwarded.
      return `tproxy ${HEADERS[verdict.family]} to :${number(verdict.port, PORT_MAX)} meta mark set ${number(verdict.mark, MARK_MAX)} accept`;
    case 'setMark':
      return `meta mark set ${number(verdict.mark, MARK_MAX)}`;
    case 'saveMark':
      return 'ct mark set meta mark';
    case 'restoreMark':
      return 'meta mark set ct mark';
    case 'zone':
      return `ct zone set ${number(verdict.zone, PORT_MAX)}`;
  }
}

function addressMatch(field: 'saddr' | 'daddr', target: AddressTarget, negate: boolean): string {
  const header = HEADERS[target.family];
  const value =
    'set' in target
      ? `@${identifier(target.set)}`
      : formatRange(target.family, checkedRange(target.family, target.address, target.prefix));
  return `${header} ${field} ${operator(negate)}${value}`;
}

function portText(target: PortTarget): string {
  return 'set' in target ? `@${identifier(target.set)}` : number(target.port, PORT_MAX);
}

/** A single state is a flag test, several are one of flags joined by commas: nft's bitmask. In nft's own order, which is what it lists. */
function stateText(states: readonly ConnectionState[]): string {
  const text = CONNECTION_STATES.filter((state) => states.includes(state)).join(',');
  if (text === '') throw unfit('connection state', String(states));
  return text;
}

function operator(negate: boolean): string {
  return negate ? '!= ' : '';
}

/** The kernel's names are at most 15 bytes (IFNAMSIZ 16); a trailing `*` would be nft's wildcard and is not let through. */
function interfaceName(name: string): string {
  if (!/^[A-Za-z0-9_.-]{1,15}$/.test(name)) throw unfit('interface name', name);
  return name;
}

function checkedRange(family: Family, address: string, prefix: number): { first: bigint; last: bigint } {
  const range = prefixRange(family, address, prefix);
  if (range === undefined) throw unfit(`IPv${family} range`, `${address}/${prefix}`);
  return range;
}

const HEADERS = { 4: 'ip', 6: 'ip6' } as const;

/** The bits of `ct state` (nf_conntrack_common.h), in the order of their values. */
export const CONNECTION_STATES: readonly ConnectionState[] = ['invalid', 'established', 'related', 'new', 'untracked'];

/** Rules and sets never change once made, and one capture needs their text twice: to write it and to compare. */
const RULE_TEXTS = new WeakMap<Rule, RuleText>();
const SET_ELEMENTS = new WeakMap<RuleSetDefinition, readonly string[]>();
