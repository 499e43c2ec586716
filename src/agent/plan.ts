import type { Decision } from '../enrollment/reasons.ts';
import type { Pod } from '../pod/pod.ts';
import type { Probe } from '../ruleset/probe.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import type { SandboxDetails } from '../sandbox/sandbox.ts';
import type { CaptureOutcome } from './capture-netns.ts';
import type { Desired } from './desired.ts';

/** What the agent remembers of one pod (by uid). It is a memo of work done, never a reason to trust: the netns itself is. */
export interface PodRecord {
  readonly uid: string;
  /** Monotonic. */
  readonly firstSeenMs: number;
  /** The sandbox worked on last, and what was done there. */
  readonly settled: Settled | undefined;
  /** Key of the last outcome told to people. */
  readonly told: string | undefined;
}

export interface Settled {
  readonly sandboxId: string;
  /** Policy hash, or the text of the refusal. */
  readonly outcome: string;
  /** What the capture found and did; undefined for a refusal. */
  readonly capture: CaptureOutcome | undefined;
  /** A refusal of a pod that was captured and let go under an earlier policy, whose rules still stand. */
  readonly keptReady?: boolean;
}

/** The steps a reconciliation can take, in the order the plan gives them. */
export type Step =
  | { readonly action: 'awaitSandbox' }
  | {
      readonly action: 'capture';
      readonly sandbox: SandboxDetails;
      readonly ruleset: Ruleset;
      readonly probes: readonly Probe[];
    }
  | { readonly action: 'refuse'; readonly sandbox: SandboxDetails; readonly code: string; readonly text: string }
  | { readonly action: 'tell'; readonly decision: Decision; readonly key: string };

/** What a step may need beside its own fields. */
export interface StepContext {
  readonly pod: Pod;
  readonly desired: Desired;
  readonly sandbox: SandboxDetails | undefined;
  /** False once the pod has been deleted or made anew. */
  readonly stillCurrent: () => boolean;
}

/** Does this pod need the runtime asked about its sandbox at all? Pods that are not ours do not. */
export function needsSandbox(desired: Desired): boolean {
  return desired.kind !== 'ignore';
}

/** Desired × observed → steps. Pure; an empty list means all is as it should be. */
export function plan(
  desired: Desired,
  observed: { readonly sandbox: SandboxDetails | undefined; readonly record: PodRecord },
): Step[] {
  const { record, sandbox } = observed;
  if (desired.kind === 'ignore') return desired.decision.warn ? tellOnce(record, desired.decision, 'ignored') : [];
  if (sandbox === undefined) return [{ action: 'awaitSandbox' }];
  const outcome = outcomeOf(desired);
  const { settled: memo } = record;
  const settled = memo !== undefined && memo.sandboxId === sandbox.id && memo.outcome === outcome;
  const work = settled ? [] : [workFor(desired, sandbox)];
  return [...work, ...tellOnce(record, desired.decision, `${sandbox.id} ${outcome}`)];
}

/** What a settled record of this desired state would hold. */
export function outcomeOf(desired: Exclude<Desired, { kind: 'ignore' }>): string {
  return desired.kind === 'capture'
    ? desired.ruleset.policyHash
    : `${desired.decision.reason}: ${desired.decision.message}`;
}

function workFor(desired: Exclude<Desired, { kind: 'ignore' }>, sandbox: SandboxDetails): Step {
  if (desired.kind === 'capture') {
    return { action: 'capture', sandbox, ruleset: desired.ruleset, probes: desired.probes };
  }
  return { action: 'refuse', sandbox, code: desired.decision.reason, text: desired.decision.message };
}

function tellOnce(record: PodRecord, decision: Decision, subject: string): Step[] {
  const key = `${decision.reason} ${subject}`;
  return record.told === key ? [] : [{ action: 'tell', decision, key }];
}
