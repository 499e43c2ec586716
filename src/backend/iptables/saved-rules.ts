import { CHAIN_PREFIX, POLICY_CHAIN } from './names.ts';
import { policyHashOf } from '../backend.ts';

/** What `iptables-save` shows of ours in one table. */
export interface SavedTable {
  readonly name: string;
  /** Chains of ours, with their rules as `ruleSpecs` writes them. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly jumps: readonly SavedJump[];
}

/** A rule outside our chains that leads to one of them. */
export interface SavedJump {
  readonly from: string;
  readonly spec: string;
  /** The target chain. */
  readonly to: string;
  /** 1 is the first rule of its chain. */
  readonly position: number;
}

/** Reads what `iptables-save` prints. Lines of strangers are passed over, whatever they hold. Pure and total. */
export function parseSaved(text: string): readonly SavedTable[] {
  const tables: { name: string; chains: Map<string, string[]>; jumps: SavedJump[]; counts: Map<string, number> }[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      tables.push({ name: line.slice(1).trim(), chains: new Map(), jumps: [], counts: new Map() });
      continue;
    }
    const table = tables.at(-1);
    if (table === undefined) continue;
    const declared = /^:(\S+) /.exec(line)?.[1];
    if (declared?.startsWith(CHAIN_PREFIX) === true) table.chains.set(declared, table.chains.get(declared) ?? []);
    const [, chain, rest] = /^(?:\[\d+:\d+\] )?-A (\S+) ?(.*)$/.exec(line) ?? [];
    if (chain === undefined || rest === undefined) continue;
    const spec = canonical(rest);
    if (chain.startsWith(CHAIN_PREFIX)) {
      table.chains.set(chain, [...(table.chains.get(chain) ?? []), spec]);
      continue;
    }
    const position = (table.counts.get(chain) ?? 0) + 1;
    table.counts.set(chain, position);
    const to = targetOf(spec);
    if (to?.startsWith(CHAIN_PREFIX) === true) table.jumps.push({ from: chain, spec, to, position });
  }
  return tables.map(({ name, chains, jumps }) => ({ name, chains, jumps }));
}

/** The policy hash in our marker. */
export function savedPolicyHash(tables: readonly SavedTable[]): string | undefined {
  const markers = tables.flatMap(({ chains }) => chains.get(POLICY_CHAIN) ?? []);
  return markers.map((spec) => policyHashOf(/--comment "([^"]*)"/.exec(spec)?.[1])).find((hash) => hash !== undefined);
}

/** Is anything of ours in there? */
export function holdsOurs(tables: readonly SavedTable[]): boolean {
  return tables.some(({ chains, jumps }) => chains.size > 0 || jumps.length > 0);
}

/** iptables quotes a comment only if it must; ours are always quoted. */
function canonical(spec: string): string {
  return spec.replace(/--comment ([^\s"]+)(?= |$)/g, '--comment "$1"').trimEnd();
}

/** The last `-j` or `-g` outside quotes. */
function targetOf(spec: string): string | undefined {
  return /(?:^| )-[jg] (\S+)/.exec(spec.replace(/"(?:[^"\\]|\\.)*"/g, '""'))?.[1];
}
