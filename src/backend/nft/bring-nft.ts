import type { Ruleset } from '../../ruleset/ruleset.ts';
import { ABSENT, type BringTask, type BroughtRules, policyHashOf, requireNoDrift } from '../backend.ts';
import { compareNft } from './compare.ts';
import type { NftContext } from './libnftables.ts';
import { isTablePresent } from './nft-failure.ts';
import { renderNft } from './render.ts';

/** What lets the read-back of an equal table be skipped. */
export interface ReadBackMemory {
  /** A digest of all the kernel holds of a table; undefined if it cannot be told. */
  readonly fingerprint: (table: string) => string | undefined;
  /** Fingerprints of tables that were read back in full and found right, by policy hash. */
  readonly verified: Map<string, string>;
  /** Monotonic. */
  readonly nowMs: () => number;
}

export interface NftTask extends BringTask, ReadBackMemory {
  readonly context: NftContext;
}

/** Makes the kernel's table the desired one, in the current netns, and reads it back. Writes nothing where nothing differs. */
export function bringNft(task: NftTask): BroughtRules {
  const { context, ruleset, fresh, nowMs } = task;
  const startMs = nowMs();
  // Nearly every netns is fresh. Then looking first would only cost time: `create` refuses by itself if there is a table.
  if (fresh && created(context, ruleset)) {
    return { written: true, drift: [], previousPolicyHash: undefined, timingsMs: readBack(task, startMs) };
  }
  const found = look(task);
  const { drift, previousPolicyHash } = found;
  if (found.same)
    return { written: false, drift, previousPolicyHash, timingsMs: { apply: 0, readBack: nowMs() - startMs } };
  context.run(renderNft(ruleset, { over: found.present ? 'replace' : 'create' }));
  return { written: true, drift, previousPolicyHash, timingsMs: readBack(task, startMs) };
}

interface Found extends Pick<BroughtRules, 'drift' | 'previousPolicyHash'> {
  readonly present: boolean;
  readonly same: boolean;
}

/** What stands there, and whether it is what it claims to be. */
function look({ context, ruleset, readyHash }: NftTask): Found {
  const listing = context.listTable(ruleset.table);
  if (listing === undefined) {
    // A ready mark without a table: somebody took the rules away.
    const drift = readyHash === undefined ? [] : [{ where: 'table', expected: ruleset.table, found: ABSENT }];
    return { present: false, same: false, drift, previousPolicyHash: undefined };
  }
  const drift = compareNft(ruleset, listing);
  if (drift.length === 0 && readyHash === ruleset.policyHash) {
    return { present: true, same: true, drift, previousPolicyHash: ruleset.policyHash };
  }
  // The same rules can carry another hash, made by another version of ours: then the table must be made anew, for its comment.
  const previousPolicyHash = policyHashOf(context.tableComment(ruleset.table));
  const otherPolicy = previousPolicyHash !== undefined && previousPolicyHash !== ruleset.policyHash;
  return {
    present: true,
    same: drift.length === 0 && !otherPolicy,
    drift: otherPolicy ? [] : drift,
    previousPolicyHash,
  };
}

/** False if there is a table already. */
function created(context: NftContext, ruleset: Ruleset): boolean {
  try {
    context.run(renderNft(ruleset, { over: 'create' }));
    return true;
  } catch (error: unknown) {
    if (isTablePresent(error)) return false;
    throw error;
  }
}

/** A kernel that took the transaction but holds something else must never be called ready. */
function readBack(task: NftTask, startMs: number): BroughtRules['timingsMs'] {
  const { ruleset, verified, nowMs } = task;
  const appliedMs = nowMs();
  // Most pods of a mesh share a policy: the same bytes in the kernel as in a netns that was read back in full need no second reading.
  const print = task.fingerprint(ruleset.table);
  if (print === undefined || verified.get(ruleset.policyHash) !== print) {
    requireNoDrift(compareNft(ruleset, task.context.listTable(ruleset.table) ?? { nftables: [] }));
    if (print !== undefined && task.fingerprint(ruleset.table) === print) remember(verified, ruleset.policyHash, print);
  }
  return { apply: appliedMs - startMs, readBack: nowMs() - appliedMs };
}

/** A node has as many policies as its pods have different settings: few. The oldest goes first. */
function remember(verified: Map<string, string>, policyHash: string, print: string): void {
  const [oldest] = verified.keys();
  if (verified.size >= VERIFIED_MAX && oldest !== undefined) verified.delete(oldest);
  verified.set(policyHash, print);
}

const VERIFIED_MAX = 256;
