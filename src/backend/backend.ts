import { ControllerError } from '../errors.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';

/** What writes and reads the rules of the netns the calling thread is in. */
export interface Backend {
  readonly name: BackendName;
  /**
   * Makes the rules the desired ones and reads them back; writes nothing where nothing differs. Throws a ControllerError if they were
   * refused (then nothing was changed, as far as the backend can promise it) or if the kernel holds something else (`ProofFailed`).
   */
  bring(task: BringTask): BroughtRules;
  /** Removes what stands of ours, nothing else. False if there was nothing. */
  clean(): boolean;
  /** What stands there, and how it differs from `ruleset`. Writes nothing. */
  inspect(ruleset?: Ruleset): BackendInspection;
}

/** In the order in which they are preferred. */
export const BACKEND_NAMES = ['nft', 'nft-spawned', 'iptables-nft', 'iptables-legacy'] as const;

/**
 * `nft`: libnftables in our own process. `nft-spawned`: the `nft` program. `iptables-nft`, `iptables-legacy`: the `iptables-restore` of
 * either kernel interface.
 */
export type BackendName = (typeof BACKEND_NAMES)[number];

export interface BringTask {
  readonly ruleset: Ruleset;
  /** The netns carries no mark of ours: nearly always it holds no rules of ours either. */
  readonly fresh: boolean;
  /** Policy hash of the ready mark that stands in the netns. */
  readonly readyHash: string | undefined;
}

export interface BroughtRules {
  /** False: they were there already, down to the last rule. */
  readonly written: boolean;
  /** How the rules differed from what they claimed to be. Empty for a fresh netns and for rules of another policy. */
  readonly drift: readonly Drift[];
  /** Policy hash of the rules that were there before. */
  readonly previousPolicyHash: string | undefined;
  readonly timingsMs: { readonly apply: number; readonly readBack: number };
}

export interface BackendInspection {
  readonly policyHash: string | undefined;
  /** Empty if no ruleset was given to compare with. */
  readonly drift: readonly Drift[];
  /** What the backend's tool lists of our rules, with counters: nft's JSON, or the text of `iptables-save -c` by family; undefined if there are none. */
  readonly listing: unknown;
}

/** One difference between the rules that should be and the rules that are, in words for people. */
export interface Drift {
  readonly where: string;
  readonly expected: string;
  readonly found: string;
}

export const ABSENT = 'absent';

/** The policy hash in a comment of ours; undefined if the comment is not of our making. */
export function policyHashOf(comment: string | undefined): string | undefined {
  return /^policy ([0-9a-f]{16})$/.exec(comment ?? '')?.[1];
}

/** Of rules just written: a kernel that took them but holds something else must never be called ready. */
export function requireNoDrift(drift: readonly Drift[]): void {
  const [first, ...more] = drift;
  if (first === undefined) return;
  const others = more.length === 0 ? '' : ` (and ${more.length} more differences)`;
  throw new ControllerError(
    'ProofFailed',
    `the kernel holds other rules than were written: ${first.where}: expected ${first.expected}, found ${first.found}${others}`,
    { hint: 'Another program in the netns, or the kernel, changes our rules.' },
  );
}
