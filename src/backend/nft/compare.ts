import type { BaseChain, Chain, Ruleset, RuleSetDefinition } from '../../ruleset/ruleset.ts';
import { ABSENT, type Drift } from '../backend.ts';
import { type AddressRange, type Family, formatRange, mergeRanges, parseAddress, prefixRange } from '../../address.ts';
import { listedRuleText, type ListedTable, parseListing, type ListedChain, type ListedSet } from './listing.ts';
import { policyComment, ruleText, SET_TYPES, setElements } from './rule-text.ts';

/**
 * Compares the kernel's table with the ruleset: sets with their elements, chains with their hooks, and every rule in its
 * place by what it does, not by what its comment says. Counters and handles do not count.
 * `listing` is the JSON of `list table inet <name>`. An empty result means: no difference.
 */
export function compareNft(ruleset: Ruleset, listing: unknown): readonly Drift[] {
  const found = parseListing(listing);
  if (found === undefined) return [{ where: 'table', expected: ruleset.table, found: 'a listing that cannot be read' }];
  return [
    ...compareHeader(ruleset, found),
    ...compareSets(ruleset, found),
    ...compareChains(ruleset, found),
    ...found.strangers.map((stranger) => ({ where: 'table', expected: ABSENT, found: stranger })),
  ];
}

function compareHeader(ruleset: Ruleset, found: ListedTable): Drift[] {
  return [
    ...differ('table name', `inet ${ruleset.table}`, `${found.family} ${found.name}`),
    // Not every library lists it. Nothing is lost: the hash follows from the content, which is compared.
    ...(found.comment === undefined ? [] : differ('table comment', policyComment(ruleset.policyHash), found.comment)),
    // `flags dormant` switches a whole table off without removing a rule.
    ...differ('table flags', 'none', found.flags),
  ];
}

function compareSets(ruleset: Ruleset, found: ListedTable): Drift[] {
  const listed = new Map(found.sets.map((set) => [set.name, set]));
  const drift = ruleset.sets.flatMap((set) => {
    const other = listed.get(set.name);
    listed.delete(set.name);
    return other === undefined ? [missing(`set ${set.name}`)] : compareSet(set, other);
  });
  return [...drift, ...[...listed.keys()].map((name) => unexpected(`set ${name}`))];
}

function compareSet(set: RuleSetDefinition, found: ListedSet): Drift[] {
  const where = `set ${set.name}`;
  const flags = set.type === 'port' ? '' : 'interval';
  return [
    ...differ(`${where} type`, SET_TYPES[set.type], found.type),
    ...differ(`${where} flags`, flags, found.flags),
    ...differ(`${where} elements`, setElements(set).join(', '), listedElements(set.type, found.elements).join(', ')),
  ];
}

function compareChains(ruleset: Ruleset, found: ListedTable): Drift[] {
  const listed = new Map(found.chains.map((chain) => [chain.name, chain]));
  const drift = ruleset.chains.flatMap((chain) => {
    const other = listed.get(chain.name);
    listed.delete(chain.name);
    return other === undefined ? [missing(`chain ${chain.name}`)] : compareChain(chain, other);
  });
  return [...drift, ...[...listed.keys()].map((name) => unexpected(`chain ${name}`))];
}

function compareChain(chain: Chain, found: ListedChain): Drift[] {
  const where = `chain ${chain.name}`;
  const rules = chain.rules.map((rule) => {
    const { matches, verdict, comment } = ruleText(rule);
    return [...matches, verdict, comment].join(' ');
  });
  const listed = found.rules.map(listedRuleText);
  const length = Math.max(rules.length, listed.length);
  return [
    ...differ(`${where} hook`, hookText(chain.base), found.hook),
    ...Array.from({ length }, (_, index) => index).flatMap((index) =>
      differ(`${where} rule ${index + 1}`, rules[index] ?? ABSENT, listed[index] ?? ABSENT),
    ),
  ];
}

function hookText(base: BaseChain | undefined): string {
  return base === undefined ? 'none' : `type ${base.type} hook ${base.hook} priority ${base.priority} policy accept`;
}

/** What the listing holds, in the same words as the ruleset. An element of unknown shape stays visible as JSON and so counts as drift. */
function listedElements(type: RuleSetDefinition['type'], elements: readonly unknown[]): string[] {
  if (type === 'port') {
    const ports = elements.filter((element) => typeof element === 'number').toSorted((a, b) => a - b);
    return [...ports.map(String), ...elements.filter((element) => typeof element !== 'number').map(shown)];
  }
  const family: Family = type === 'ipv4' ? 4 : 6;
  const ranges: AddressRange[] = [];
  const strange: string[] = [];
  for (const element of elements) {
    const range = listedRange(family, element);
    if (range === undefined) strange.push(shown(element));
    else ranges.push(range);
  }
  return [...mergeRanges(ranges).map((range) => formatRange(family, range)), ...strange];
}

function listedRange(family: Family, element: unknown): AddressRange | undefined {
  if (typeof element === 'string') return prefixRange(family, element, family === 4 ? 32 : 128);
  if (typeof element !== 'object' || element === null) return undefined;
  if ('prefix' in element && typeof element.prefix === 'object' && element.prefix !== null) {
    const { prefix } = element;
    if (!('addr' in prefix) || typeof prefix.addr !== 'string') return undefined;
    if (!('len' in prefix) || typeof prefix.len !== 'number') return undefined;
    return prefixRange(family, prefix.addr, prefix.len);
  }
  if (!('range' in element) || !Array.isArray(element.range)) return undefined;
  const [first, last] = element.range.map((end: unknown) =>
    typeof end === 'string' ? parseAddress(family, end) : undefined,
  );
  return first === undefined || last === undefined ? undefined : { first, last };
}

function differ(where: string, expected: string, found: string): Drift[] {
  return expected === found ? [] : [{ where, expected, found }];
}

function missing(where: string): Drift {
  return { where, expected: 'present', found: ABSENT };
}

function unexpected(where: string): Drift {
  return { where, expected: ABSENT, found: 'present' };
}

function shown(value: unknown): string {
  return JSON.stringify(value);
}
