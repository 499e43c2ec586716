import { isControllerError } from '../../errors.ts';
import type { Ruleset } from '../../ruleset/ruleset.ts';
import { type Backend, type BackendName, type BroughtRules, type Drift, requireNoDrift } from '../backend.ts';
import type { Family } from '../../address.ts';
import { compareIptables } from './compare.ts';
import { renderChange, renderRemoval, renderReturn } from './render.ts';
import { holdsOurs, parseSaved, type SavedTable, savedPolicyHash } from './saved-rules.ts';
import { iptablesTables } from './tables.ts';
import type { IptablesTools } from './tools.ts';

export interface IptablesBackendOptions {
  readonly name: BackendName;
  readonly tools: IptablesTools;
  /** Families the kernel has: without IPv6 there is nothing to capture, and ip6tables does not start. */
  readonly families: () => readonly Family[];
  /** Monotonic. */
  readonly nowMs: () => number;
}

/**
 * Rules in iptables, in chains of our own. What it cannot promise, unlike nft: each table of each family is a commit of its own, so that a
 * restore that is cut short leaves some new and some old (the next look finds and mends it), and programs that change the same table at
 * the same moment can undo each other.
 */
export function iptablesBackend({ name, tools, families, nowMs }: IptablesBackendOptions): Backend {
  const saved = (): Saved => new Map(families().map((family) => [family, parseSaved(tools.save(family))]));

  return {
    name,
    bring: ({ ruleset, readyHash }) => {
      const startMs = nowMs();
      const before = saved();
      const found = judge(ruleset, before, readyHash);
      const lookedMs = nowMs() - startMs;
      if (found.same) return { ...found.brought, written: false, timingsMs: { apply: 0, readBack: lookedMs } };
      write(tools, ruleset, before);
      const writtenMs = nowMs() - startMs;
      requireNoDrift(driftOf(ruleset, saved()));
      return {
        ...found.brought,
        written: true,
        timingsMs: { apply: writtenMs, readBack: nowMs() - startMs - writtenMs },
      };
    },
    clean: () => {
      const found = [...saved()].filter(([, tables]) => holdsOurs(tables));
      for (const [family, tables] of found) tools.restore(family, renderRemoval(tables));
      return found.length > 0;
    },
    inspect: (ruleset) => {
      const found = saved();
      const ours = [...found.values()].some(holdsOurs);
      return {
        policyHash: hashOf(found),
        drift: ruleset === undefined ? [] : driftOf(ruleset, found),
        listing: ours ? listing(tools, [...found.keys()]) : undefined,
      };
    },
  };
}

type Saved = ReadonlyMap<Family, readonly SavedTable[]>;

interface Judged {
  readonly same: boolean;
  readonly brought: Pick<BroughtRules, 'drift' | 'previousPolicyHash'>;
}

/** Rules of another policy are no drift, and rules that never were are none either, unless the mark claims them. */
function judge(ruleset: Ruleset, saved: Saved, readyHash: string | undefined): Judged {
  const drift = driftOf(ruleset, saved);
  const previousPolicyHash = hashOf(saved);
  const claimed = previousPolicyHash ?? readyHash;
  const none = ![...saved.values()].some(holdsOurs);
  const counts = claimed === ruleset.policyHash || (none ? readyHash !== undefined : previousPolicyHash === undefined);
  return { same: drift.length === 0, brought: { drift: counts ? drift : [], previousPolicyHash } };
}

/**
 * All inputs are tried before the first is carried out: what iptables itself refuses changes nothing. What only the kernel refuses is
 * taken back, as far as it went: a commit may have gone through before it.
 */
function write(tools: IptablesTools, ruleset: Ruleset, before: Saved): void {
  const inputs = [...before].map(([family, tables]) => ({
    family,
    input: renderChange(iptablesTables(ruleset, family), tables),
  }));
  for (const { family, input } of inputs) tools.test(family, input);
  try {
    for (const { family, input } of inputs) tools.restore(family, input);
  } catch (error: unknown) {
    for (const [family, tables] of before) takeBack(tools, family, tables);
    throw error;
  }
}

/** Best effort: what the kernel refused is what the caller hears. */
function takeBack(tools: IptablesTools, family: Family, before: readonly SavedTable[]): void {
  try {
    const input = renderReturn(before, parseSaved(tools.save(family)));
    if (input !== '') tools.restore(family, input);
  } catch (error: unknown) {
    if (!isControllerError(error)) throw error;
  }
}

function driftOf(ruleset: Ruleset, saved: Saved): readonly Drift[] {
  return [...saved].flatMap(([family, tables]) => compareIptables(iptablesTables(ruleset, family), tables, family));
}

function hashOf(saved: Saved): string | undefined {
  return [...saved.values()].map(savedPolicyHash).find((hash) => hash !== undefined);
}

function listing(tools: IptablesTools, families: readonly Family[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    families.map((family) => [family === 4 ? 'ipv4' : 'ipv6', tools.save(family, { counters: true })]),
  );
}
