import { ABSENT, type BackendName, type Drift } from '../backend/backend.ts';
import { type Mark, refusedMark } from '../netns/mark-text.ts';
import type { Netns } from '../netns/netns.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
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
  /** Our nft table, or our chains in iptables. */
  readonly tableRemoved: boolean;
  /** Addresses, routes and rules of policies that needed some. */
  readonly routingRemoved: boolean;
  readonly markRemoved: boolean;
}

export interface Inspection {
  readonly mark: Mark;
  /** Of the rules that stand there. */
  readonly policyHash?: string | undefined;
  /** What holds rules of ours: one, or none; more only after a switch that was cut short. */
  readonly backends?: readonly BackendName[];
  /** SO_NETNS_COOKIE; empty on kernels before 5.14. */
  readonly netnsCookie: string;
  /** Empty if no ruleset was given to compare with. */
  readonly drift: readonly Drift[];
  /** nft's JSON of our table, or the text of `iptables-save` by family, with counters; undefined if there is none. */
  readonly listing?: unknown;
}

/** Tells the gate that this pod will not be captured, and why. Touches no rules. */
export function refuseNetns(request: RefusalRequest, effects: NetnsEffects): RefusalOutcome {
  return visit(request.netnsPath, effects, () => {
    requireMember(request, effects);
    const mark = effects.readMark();
    if (mark.kind === 'ready' && standingHash(effects) === mark.policyHash) return 'keptReady';
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
    const removed = effects.backends.standing().map((backend) => backend.clean());
    // After the rules: as long as they mark packets, the routes must be there.
    const routingRemoved = effects.cleanRouting();
    return { tableRemoved: removed.includes(true), routingRemoved, markRemoved };
  });
}

/** What stands in the netns, and how it differs from `ruleset`. Writes nothing. */
export function inspectNetns(netnsPath: string, effects: NetnsEffects, ruleset?: Ruleset): Inspection {
  return visit(netnsPath, effects, (netns) => {
    const mark = effects.readMark();
    const standing = effects.backends.standing();
    const [first, ...more] = standing.map((backend) => ({ name: backend.name, ...backend.inspect(ruleset) }));
    const routing = ruleset === undefined ? [] : effects.inspectRouting(ruleset.routing);
    const rules =
      first === undefined ? withoutRules(ruleset) : [...first.drift, ...more.map(({ name }) => tooMany(name))];
    return {
      mark,
      policyHash: first?.policyHash,
      backends: standing.map(({ name }) => name),
      netnsCookie: netns.cookie,
      drift: [...rules, ...routing],
      listing: first?.listing,
    };
  });
}

function withoutRules(ruleset: Ruleset | undefined): readonly Drift[] {
  return ruleset === undefined ? [] : [{ where: 'table', expected: ruleset.table, found: ABSENT }];
}

function tooMany(name: BackendName): Drift {
  return { where: `backend ${name}`, expected: ABSENT, found: 'rules of ours' };
}

function standingHash(effects: NetnsEffects): string | undefined {
  return effects.backends.standing()[0]?.inspect().policyHash;
}

function visit<T>(netnsPath: string, effects: NetnsEffects, work: (netns: Netns) => T): T {
  const netns = effects.open(netnsPath);
  try {
    return effects.enter(netns, () => work(netns));
  } finally {
    netns.close();
  }
}
