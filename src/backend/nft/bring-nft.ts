import type { Ruleset } from '../../ruleset/ruleset.ts';
import { ABSENT, type BringTask, type BroughtRules, policyHashOf, requireNoDrift } from '../backend.ts';
import { compareNft } from './compare.ts';
import type { Nft, NftContext } from './libnftables.ts';
import { isTablePresent } from './nft-failure.ts';
import { renderNft } from './render.ts';

/** Tables that were read back in full and found right, to be made again in other netns in the kernel's own words. By policy hash. */
export interface TableCopies {
  /** What stands under the table's name is the one of this policy, if it still has this fingerprint. */
  keep(policyHash: string, table: { readonly name: string; readonly fingerprint: string }): void;
  /** False if there is none, or the kernel refused it: nothing was changed then. */
  create(policyHash: string): boolean;
}

/** What lets the read-back of an equal table be skipped. */
export interface ReadBackMemory {
  /** A digest of all the kernel holds of a table; undefined if it cannot be told. */
  readonly fingerprint: (table: string) => string | undefined;
  /** Fingerprints of tables that were read back in full and found right, by policy hash. */
  readonly verified: Map<string, string>;
  /** Without them every table is written as text. */
  readonly copies?: TableCopies;
  /** Monotonic. */
  readonly nowMs: () => number;
}

export interface NftTask extends BringTask, ReadBackMemory {
  readonly nft: Nft;
}

interface ContextTask extends BringTask, ReadBackMemory {
  readonly context: NftContext;
}

/**
 * Makes the kernel's table the desired one, in the current netns, and reads it back. Writes nothing where nothing differs.
 *
 * Most pods of a mesh share a policy, so nearly every table is a copy of one that this process has written as text and read back in full:
 * no text, no parser of the library with its look-ups of users and groups, no context, and the kernel refuses it, too, where a table is.
 */
export function bringNft(task: NftTask): BroughtRules {
  const { nft, ruleset, fresh, copies, nowMs } = task;
  const startMs = nowMs();
  if (!fresh || copies?.create(ruleset.policyHash) !== true) {
    return nft.withContext((context) => bringText({ ...task, context }, startMs));
  }
  const appliedMs = nowMs();
  const print = task.fingerprint(ruleset.table);
  if (!isVerified(task, print)) nft.withContext((context) => readInFull({ ...task, context }, print));
  const timingsMs = { apply: appliedMs - startMs, readBack: nowMs() - appliedMs };
  return { written: true, drift: [], previousPolicyHash: undefined, timingsMs };
}

function bringText(task: ContextTask, startMs: number): BroughtRules {
  const { context, ruleset, fresh, nowMs } = task;
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
function look({ context, ruleset, readyHash }: ContextTask): Found {
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
function readBack(task: ContextTask, startMs: number): BroughtRules['timingsMs'] {
  const { ruleset, nowMs } = task;
  const appliedMs = nowMs();
  const print = task.fingerprint(ruleset.table);
  if (!isVerified(task, print)) readInFull(task, print);
  return { apply: appliedMs - startMs, readBack: nowMs() - appliedMs };
}

/** The same bytes in the kernel as in a netns that was read back in full need no second reading. */
function isVerified({ verified, ruleset }: BringTask & ReadBackMemory, print: string | undefined): boolean {
  return print !== undefined && verified.get(ruleset.policyHash) === print;
}

function readInFull(task: ContextTask, print: string | undefined): void {
  const { ruleset, context, verified, copies } = task;
  requireNoDrift(compareNft(ruleset, context.listTable(ruleset.table) ?? { nftables: [] }));
  if (print === undefined || task.fingerprint(ruleset.table) !== print) return;
  remember(verified, ruleset.policyHash, print);
  copies?.keep(ruleset.policyHash, { name: ruleset.table, fingerprint: print });
}

/** A node has as many policies as its pods have different settings: few. The oldest goes first. */
function remember(verified: Map<string, string>, policyHash: string, print: string): void {
  const [oldest] = verified.keys();
  if (verified.size >= VERIFIED_MAX && oldest !== undefined) verified.delete(oldest);
  verified.set(policyHash, print);
}

const VERIFIED_MAX = 256;
