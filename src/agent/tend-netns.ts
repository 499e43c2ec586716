import { compareNft, type Drift, policyHashOf } from '../backend/nft/compare.ts';
import { renderClean } from '../backend/nft/render.ts';
import { type Mark, refusedMark } from '../netns/mark-text.ts';
import type { Netns } from '../netns/netns.ts';
import { type Ruleset, TABLE } from '../ruleset/ruleset.ts';
import { type NetnsEffects, requireMember } from './netns-effects.ts';

export interface RefusalRequest {
  readonly netnsPath: string;
  readonly podIPs: readonly string[];
  /** A reason or error code, and one line on what is wrong and what is allowed. */
  readonly code: string;
  readonly text: string;
}

/**
 * `marked`: the gate now stays shut and says why. `already`: the same refusal stood there. `keptReady`: the pod was captured and let go
 * under an earlier policy, and its rules still stand: a running pod is left as it is.
 */
export type RefusalOutcome = 'marked' | 'already' | 'keptReady';

export interface CleanOutcome {
  readonly tableRemoved: boolean;
  readonly markRemoved: boolean;
}

export interface Inspection {
  readonly mark: Mark;
  /** Of the table that stands there. */
  readonly policyHash?: string | undefined;
  /** SO_NETNS_COOKIE; empty on kernels before 5.14. */
  readonly netnsCookie: string;
  /** Empty if no ruleset was given to compare with. */
  readonly drift: readonly Drift[];
  /** libnftables' JSON of our table, with counters; undefined if there is none. */
  readonly listing?: unknown;
}

/** Tells the gate that this pod will not be captured, and why. Touches no rules. */
export function refuseNetns(request: RefusalRequest, effects: NetnsEffects): RefusalOutcome {
  return visit(request.netnsPath, effects, () => {
    requireMember(request, effects);
    const mark = effects.readMark();
    if (mark.kind === 'ready' && tableHash(effects) === mark.policyHash) return 'keptReady';
    const text = refusedMark(request.code, request.text);
    if (mark.kind === 'refused' && refusedMark(mark.code, mark.text) === text) return 'already';
    effects.writeMark(text);
    return 'marked';
  });
}

/** Removes our table and our mark, and nothing else; doing it twice is fine. */
export function cleanNetns(netnsPath: string, effects: NetnsEffects): CleanOutcome {
  return visit(netnsPath, effects, () => {
    const mark = effects.readMark();
    const markRemoved = mark.kind === 'ready' || mark.kind === 'refused';
    // The mark first: a gate must not open on a mark whose rules are gone.
    if (markRemoved) effects.clearMark();
    const tableRemoved = effects.nft.withContext((context) => {
      if (context.listTable(TABLE) === undefined) return false;
      context.run(renderClean());
      return true;
    });
    return { tableRemoved, markRemoved };
  });
}

/** What stands in the netns, and how it differs from `ruleset`. Writes nothing. */
export function inspectNetns(netnsPath: string, effects: NetnsEffects, ruleset?: Ruleset): Inspection {
  return visit(netnsPath, effects, (netns) => {
    const mark = effects.readMark();
    const { listing, comment } = effects.nft.withContext((context) => ({
      listing: context.listTable(TABLE),
      comment: context.tableComment(TABLE),
    }));
    return {
      mark,
      policyHash: policyHashOf(comment),
      netnsCookie: netns.cookie,
      drift: ruleset === undefined ? [] : driftOf(ruleset, listing),
      listing,
    };
  });
}

function driftOf(ruleset: Ruleset, listing: unknown): readonly Drift[] {
  if (listing === undefined) return [{ where: 'table', expected: ruleset.table, found: 'absent' }];
  return compareNft(ruleset, listing);
}

function tableHash(effects: NetnsEffects): string | undefined {
  return policyHashOf(effects.nft.withContext((context) => context.tableComment(TABLE)));
}

function visit<T>(netnsPath: string, effects: NetnsEffects, work: (netns: Netns) => T): T {
  const netns = effects.open(netnsPath);
  try {
    return effects.enter(netns, () => work(netns));
  } finally {
    netns.close();
  }
}
