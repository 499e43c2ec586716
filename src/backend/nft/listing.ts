import { type Family, formatRange, prefixRange } from '../../address.ts';
import { CONNECTION_STATES } from './rule-text.ts';

/** The JSON of `list table`, narrowed to what the comparison looks at. */
export interface ListedTable {
  readonly family: string;
  readonly name: string;
  readonly comment: string | undefined;
  readonly flags: string;
  readonly sets: readonly ListedSet[];
  readonly chains: readonly ListedChain[];
  /** Objects of kinds we never make (maps, flowtables, named counters), as JSON. */
  readonly strangers: readonly string[];
}

export interface ListedSet {
  readonly name: string;
  readonly type: string;
  readonly flags: string;
  readonly elements: readonly unknown[];
}

export interface ListedChain {
  readonly name: string;
  readonly hook: string;
  readonly rules: readonly ListedRule[];
}

export interface ListedRule {
  readonly expressions: readonly unknown[];
  readonly comment: string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** Undefined when it is not a listing of one table at all. */
export function parseListing(listing: unknown): ListedTable | undefined {
  const objects = fieldsOf(listing)?.nftables;
  if (!Array.isArray(objects)) return undefined;
  let table: Fields | undefined;
  const sets: ListedSet[] = [];
  const chains: { name: string; hook: string; rules: ListedRule[] }[] = [];
  const rules: { chain: string; rule: ListedRule }[] = [];
  const strangers: string[] = [];
  for (const object of objects) {
    const [[kind, value] = ['', undefined]] = Object.entries(fieldsOf(object) ?? {});
    const fields = fieldsOf(value) ?? {};
    if (kind === 'metainfo') continue;
    if (kind === 'table') table = fields;
    else if (kind === 'set') sets.push(parseSet(fields));
    else if (kind === 'chain') chains.push({ name: text(fields.name), hook: chainHook(fields), rules: [] });
    else if (kind === 'rule') rules.push({ chain: text(fields.chain), rule: parseRule(fields) });
    else strangers.push(JSON.stringify(object));
  }
  if (table === undefined) return undefined;
  for (const { chain, rule } of rules) chains.find(({ name }) => name === chain)?.rules.push(rule);
  return {
    family: text(table.family),
    name: text(table.name),
    comment: typeof table.comment === 'string' ? table.comment : undefined,
    flags: flagsOf(table.flags) || 'none',
    sets,
    chains,
    strangers,
  };
}

/** The listed rule in the words of `ruleText`; an expression we never make stays as JSON and so differs from everything of ours. */
export function listedRuleText(rule: ListedRule): string {
  const expressions = rule.expressions.filter((expression) => !('counter' in (fieldsOf(expression) ?? {})));
  const words = expressions.map(expressionText);
  // nft lists or hides these dependencies at its own discretion: they follow from the port or address match beside them.
  const implied = new Set(words.flatMap(impliedBy));
  const comment = rule.comment === undefined ? [] : [`comment "${rule.comment}"`];
  return [...words.filter((word) => !implied.has(word)), ...comment].join(' ');
}

function impliedBy(word: string): string[] {
  const header = /^(tcp|udp|ip|ip6) (?:dport|sport|saddr|daddr) /.exec(word)?.[1];
  if (header === 'tcp' || header === 'udp') return [`meta l4proto ${header}`];
  if (header === 'ip') return ['meta nfproto ipv4'];
  return header === 'ip6' ? ['meta nfproto ipv6'] : [];
}

function expressionText(expression: unknown): string {
  const fields = fieldsOf(expression) ?? {};
  const [[kind, value] = ['', undefined]] = Object.entries(fields);
  const inner = fieldsOf(value) ?? {};
  if ((kind === 'return' || kind === 'accept' || kind === 'drop') && value === null) return kind;
  if (kind === 'jump' && onlyKeys(inner, 'target')) return `jump ${text(inner.target)}`;
  if (kind === 'redirect' && onlyKeys(inner, 'port')) return `redirect to :${text(inner.port)}`;
  if (kind === 'tproxy' && onlyKeys(inner, 'family', 'port')) {
    return `tproxy ${text(inner.family)} to :${text(inner.port)}`;
  }
  if (kind === 'mangle' && onlyKeys(inner, 'key', 'value')) {
    const key = keyText(inner.key);
    const value = scalar(inner.value) ?? keyText(inner.value);
    if (key !== undefined && value !== undefined) return `${key} set ${value}`;
  }
  return (kind === 'match' ? matchText(inner) : undefined) ?? JSON.stringify(expression);
}

function matchText(match: Fields): string | undefined {
  const left = fieldsOf(match.left) ?? {};
  const negation = match.op === '!=' ? '!= ' : match.op === '==' || match.op === 'in' ? '' : undefined;
  if (negation === undefined) return undefined;
  const payload = fieldsOf(left.payload);
  if (payload !== undefined) {
    const header = text(payload.protocol);
    const value = header === 'ip' || header === 'ip6' ? addressText(header, match.right) : scalar(match.right);
    return value === undefined ? undefined : `${header} ${text(payload.field)} ${negation}${value}`;
  }
  const key = keyText(left);
  if (key === 'ct state') return `${key} ${negation}${statesText(match.right)}`;
  const value = scalar(match.right);
  if (key === undefined || value === undefined) return undefined;
  const name = /^meta ([io]ifname)$/.exec(key)?.[1];
  return name === undefined ? `${key} ${negation}${NAMES[key]?.[value] ?? value}` : `${name} ${negation}"${value}"`;
}

/** `meta mark`, `ct state`: what a match looks at, or a statement reads or writes. */
function keyText(side: unknown): string | undefined {
  const [[kind, value] = ['', undefined], ...more] = Object.entries(fieldsOf(side) ?? {});
  const fields = fieldsOf(value) ?? {};
  if (more.length > 0 || (kind !== 'meta' && kind !== 'ct') || !onlyKeys(fields, 'key')) return undefined;
  return typeof fields.key === 'string' ? `${kind} ${fields.key}` : undefined;
}

/** One state, or a list of them: names, or the bits behind them, as the library likes. */
function statesText(right: unknown): string {
  const states = (Array.isArray(right) ? right : [right]).map((one) => STATES.get(text(one)) ?? text(one));
  const known = CONNECTION_STATES.filter((state) => states.includes(state));
  return known.length === states.length ? known.join(',') : states.join(',');
}

/** A single address, `{prefix: {addr, len}}`, or `@set`. */
function addressText(header: 'ip' | 'ip6', right: unknown): string | undefined {
  const family: Family = header === 'ip' ? 4 : 6;
  if (typeof right === 'string' && right.startsWith('@')) return right;
  const prefix = fieldsOf(fieldsOf(right)?.prefix);
  const range =
    prefix === undefined
      ? prefixRange(family, text(right), family === 4 ? 32 : 128)
      : prefixRange(family, text(prefix.addr), typeof prefix.len === 'number' ? prefix.len : -1);
  return range === undefined ? undefined : formatRange(family, range);
}

function parseSet(fields: Fields): ListedSet {
  return {
    name: text(fields.name),
    type: text(fields.type),
    flags: flagsOf(fields.flags),
    elements: Array.isArray(fields.elem) ? fields.elem : [],
  };
}

function parseRule(fields: Fields): ListedRule {
  return {
    expressions: Array.isArray(fields.expr) ? fields.expr : [],
    comment: typeof fields.comment === 'string' ? fields.comment : undefined,
  };
}

function chainHook(fields: Fields): string {
  if (fields.hook === undefined) return 'none';
  return `type ${text(fields.type)} hook ${text(fields.hook)} priority ${text(fields.prio)} policy ${text(fields.policy)}`;
}

/** Newer libraries print a single flag as a string, older ones as a list. */
function flagsOf(flags: unknown): string {
  if (flags === undefined) return '';
  return Array.isArray(flags) ? flags.map(text).toSorted().join(' ') : text(flags);
}

function onlyKeys(fields: Fields, ...keys: string[]): boolean {
  return Object.keys(fields).toSorted().join() === keys.toSorted().join();
}

function scalar(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

function text(value: unknown): string {
  return scalar(value) ?? JSON.stringify(value) ?? 'nothing';
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** Numeric output prints protocols (IANA) and families (AF_INET, AF_INET6) as numbers; libraries differ on whether they do. */
const NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'meta l4proto': { '6': 'tcp', '17': 'udp' },
  'meta nfproto': { '2': 'ipv4', '10': 'ipv6' },
};

/** NF_CT_STATE_BIT of linux/netfilter/nf_conntrack_common.h. */
const STATES: ReadonlyMap<string, string> = new Map([
  ['1', 'invalid'],
  ['2', 'established'],
  ['4', 'related'],
  ['8', 'new'],
  ['64', 'untracked'],
]);
