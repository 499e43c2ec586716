import type { CaptureDefaults, CapturePolicy, Problem } from '../capture/policy.ts';
import { resolvePolicy } from '../capture/resolve.ts';
import { decide, type EnrollmentOptions } from '../enrollment/decide.ts';
import type { Decision } from '../enrollment/reasons.ts';
import type { Namespace, Pod } from '../pod/pod.ts';
import { buildRuleset } from '../ruleset/build.ts';
import type { Probe } from '../ruleset/probe.ts';
import { planProbes } from '../ruleset/probe-plan.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';

/** What should be true of a pod, from its own object and its namespace alone. */
export type Desired =
  | { readonly kind: 'ignore'; readonly decision: Decision }
  | { readonly kind: 'refuse'; readonly decision: Decision }
  | {
      readonly kind: 'capture';
      readonly decision: Decision;
      readonly policy: CapturePolicy;
      readonly ruleset: Ruleset;
      readonly probes: readonly Probe[];
    };

export interface DesiredOptions {
  readonly enrollment: EnrollmentOptions;
  readonly defaults: CaptureDefaults;
}

/** What only the pod's sandbox tells. */
export interface SandboxFacts {
  /** Of the pod's resolv.conf; undefined: not known. */
  readonly nameservers: readonly string[] | undefined;
}

/** Decision, policy, rules and probes for one pod. Pure; every failure of the pod's settings is a `refuse`, never an exception. */
export function desiredFor(pod: Pod, namespace: Namespace, options: DesiredOptions, facts?: SandboxFacts): Desired {
  const decision = decide(pod, namespace, options.enrollment);
  if (decision.action === 'ignore') return { kind: 'ignore', decision };
  if (decision.action === 'refuse') return { kind: 'refuse', decision };
  const result = resolvePolicy(pod, options.defaults, {
    sidecarName: options.enrollment.sidecarName,
    nameservers: facts?.nameservers,
  });
  if (!result.ok) return { kind: 'refuse', decision: invalidPolicy(result.problems) };
  const { policy } = result;
  return {
    kind: 'capture',
    decision: policy.mode.value === 'NONE' ? captureNone(policy) : decision,
    policy,
    ruleset: buildRuleset(policy),
    probes: planProbes(policy),
  };
}

/** Would other rules be wanted if the name servers of the pod were known? Where they are not, every query is captured. */
export function dependsOnNameservers(desired: Desired, pod: Pod, options: DesiredOptions): boolean {
  // With dnsPolicy None the pod itself says them.
  if (desired.kind !== 'capture' || desired.policy.dns.value.kind === 'off' || pod.nameservers !== undefined)
    return false;
  const { sidecarName } = options.enrollment;
  const withNone = resolvePolicy(pod, options.defaults, { sidecarName, nameservers: [] });
  return withNone.ok && withNone.policy.dns.value.kind === 'off';
}

/** One line that names every setting that could not be used, its value, and what is allowed. */
export function problemText(problems: readonly Problem[]): string {
  return problems.map((problem) => `${problem.key}=${quoted(problem.value)}: allowed is ${problem.allowed}`).join('; ');
}

function invalidPolicy(problems: readonly Problem[]): Decision {
  return { action: 'refuse', reason: 'InvalidCapturePolicy', message: problemText(problems), warn: true };
}

function captureNone(policy: CapturePolicy): Decision {
  const message = `${policy.mode.source.key} is NONE: nothing is captured`;
  return { action: 'enroll', reason: 'CaptureNone', message, warn: false };
}

/** A pod's text in a message: quoted, on one line, and cut, because it may be long or hostile. */
function quoted(text: string): string {
  const shown = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
  return JSON.stringify(shown);
}

const SHOWN_MAX = 60;
