import { ControllerError } from '../../errors.ts';
import type { BaseChain, Chain, Ruleset } from '../../ruleset/ruleset.ts';
import type { Family } from '../../address.ts';
import { chainName, POLICY_CHAIN } from './names.ts';
import { jumpSpec, policySpec, ruleSpecs } from './rule-spec.ts';

/** One of iptables' tables with what of ours is to be in it. */
export interface IptablesTable {
  readonly name: TableName;
  readonly chains: readonly IptablesChain[];
  /** The first rule of these built-in chains. */
  readonly jumps: readonly { readonly from: string; readonly spec: string }[];
}

export interface IptablesChain {
  readonly name: string;
  /** As `iptables-save` prints them, without `-A` and the chain. */
  readonly rules: readonly string[];
}

export type TableName = 'raw' | 'mangle' | 'nat';
export const TABLE_NAMES: readonly TableName[] = ['raw', 'mangle', 'nat'];

/**
 * The ruleset in the words of one family's iptables: base chains become chains with a jump from the built-in chain of their hook; a
 * regular chain stands in each table from which it can be reached. Pure.
 */
export function iptablesTables(ruleset: Ruleset, family: Family): readonly IptablesTable[] {
  const sets = new Map(ruleset.sets.map((set) => [set.name, set]));
  const used = TABLE_NAMES.filter((name) => ruleset.chains.some(({ base }) => base && tableOf(base) === name));
  // Where nothing is captured, the marker must not bring conntrack into the netns, as the nat table would.
  const marked: TableName = used.includes('nat') ? 'nat' : 'raw';
  return TABLE_NAMES.filter((name) => used.includes(name) || name === marked).map((name) => {
    const chains = chainsOf(ruleset, name);
    const marker = name === marked ? [{ name: POLICY_CHAIN, rules: [policySpec(ruleset.policyHash)] }] : [];
    return {
      name,
      chains: [
        ...marker,
        ...chains.map((chain) => ({
          name: chainName(chain.name),
          rules: chain.rules.flatMap((rule) => ruleSpecs(rule, family, sets)),
        })),
      ],
      jumps: chains.flatMap(({ name: own, base }) =>
        base === undefined ? [] : [{ from: base.hook.toUpperCase(), spec: jumpSpec(chainName(own)) }],
      ),
    };
  });
}

/**
 * The order in which tables are written, each in a commit of its own, so that between two commits nothing escapes that both the old and
 * the new rules capture: the table that takes inbound traffic over comes before the one that lets go of it, zones before the redirects
 * that need them.
 */
export function commitOrder(tables: readonly IptablesTable[]): readonly TableName[] {
  const capturing: readonly TableName[] = hasTproxy(tables) ? ['mangle', 'nat'] : ['nat', 'mangle'];
  return tables.some(({ name }) => name === 'raw') ? ['raw', ...capturing] : [...capturing, 'raw'];
}

function hasTproxy(tables: readonly IptablesTable[]): boolean {
  return tables.some(({ chains }) => chains.some(({ rules }) => rules.some((rule) => rule.includes(' -j TPROXY '))));
}

/** Base chains of a table, and every chain one gets to from there. */
function chainsOf({ chains }: Ruleset, table: TableName): readonly Chain[] {
  const byName = new Map(chains.map((chain) => [chain.name, chain]));
  const reached = new Set<Chain>();
  const visit = (chain: Chain): void => {
    if (reached.has(chain)) return;
    reached.add(chain);
    for (const { verdict } of chain.rules) {
      if (verdict.kind !== 'jump') continue;
      const next = byName.get(verdict.chain);
      if (next === undefined) throw new ControllerError('Internal', `there is no chain ${verdict.chain} to jump to`);
      visit(next);
    }
  };
  for (const chain of chains) if (chain.base !== undefined && tableOf(chain.base) === table) visit(chain);
  return [...reached];
}

/** By Netfilter's priorities (linux/netfilter_ipv4.h): each of iptables' tables stands at one. */
function tableOf({ type, priority, hook }: BaseChain): TableName {
  if (type === 'nat' && priority === -100) return 'nat';
  if (type !== 'nat' && priority === -150) return 'mangle';
  if (type !== 'nat' && priority === -300 && hook !== 'input') return 'raw';
  throw new ControllerError('Internal', `iptables has no table for type ${type}, hook ${hook}, priority ${priority}`);
}
