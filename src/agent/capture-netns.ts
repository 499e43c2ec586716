import type { BackendName, Drift } from '../backend/backend.ts';
import type { BackendChoice } from '../backend/choose.ts';
import { ControllerError, isControllerError } from '../errors.ts';
import { type Mark, readyMark, refusedMark } from '../netns/mark-text.ts';
import type { Netns } from '../netns/netns.ts';
import type { Probe } from '../ruleset/probe.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import { bringRules } from './bring-rules.ts';
import { kernelEffects, type NetnsEffects, requireMember } from './netns-effects.ts';
import {
  cleanNetns,
  type CleanOutcome,
  inspectNetns,
  type Inspection,
  refuseNetns,
  type RefusalOutcome,
  type RefusalRequest,
} from './tend-netns.ts';

export interface CaptureRequest {
  /** Absolute. */
  readonly netnsPath: string;
  /** Of which the netns must hold at least one. Empty: not known yet, no check. */
  readonly podIPs: readonly string[];
  readonly ruleset: Ruleset;
  readonly probes: readonly Probe[];
  /** The pod has a user namespace of its own (`hostUsers: false`); false by default. */
  readonly ownUserNamespace?: boolean;
}

export interface CaptureOutcome {
  /** `kept`: all was right, nothing was written. `remarked`: rules were right, the mark was not. `applied`: the rules were written. */
  readonly action: 'applied' | 'remarked' | 'kept';
  /** What holds the rules. */
  readonly backend: BackendName;
  /** SO_NETNS_COOKIE; empty on kernels before 5.14. */
  readonly netnsCookie: string;
  /**
   * How the rules differed from what they claimed to be: found under the same policy hash, or missing under a ready mark.
   * Empty when the netns was fresh, or carried another policy.
   */
  readonly drift: readonly Drift[];
  /** Policy hash of the rules that were there before. */
  readonly previousPolicyHash?: string | undefined;
  /** Somebody else's alias of `lo` that the mark replaced. */
  readonly foreignAlias: string | undefined;
  /** Probes that show nothing: nothing of the kind can leave (no route of that family), or it leaves by an exempt interface. */
  readonly unroutable: readonly string[];
  readonly timingsMs: {
    /** Open, enter, read the mark. */
    readonly enter: number;
    readonly apply: number;
    readonly readBack: number;
    readonly probe: number;
    readonly mark: number;
    /** Time at work; what the caller does between `begin` and `finish` is not in it. */
    readonly total: number;
  };
}

/** Rules are in and proven; the mark is not written yet. Between `begin` and `finish` the caller looks at the sandbox once more. */
export interface CaptureSession {
  readonly action: CaptureOutcome['action'];
  /** Writes the ready mark (unless `kept`) and tells what was done. Call once. */
  finish(): CaptureOutcome;
  /** Gives the netns back. Call always; more than once is fine. */
  close(): void;
}

/** Everything that is done inside a pod's netns. */
export interface CaptureEffect {
  begin(request: CaptureRequest): CaptureSession;
  refuse(request: RefusalRequest): RefusalOutcome;
  clean(netnsPath: string): CleanOutcome;
  inspect(netnsPath: string, ruleset?: Ruleset): Inspection;
  /** What a netns without rules gets on this node; found out in our own netns, without writing. Throws if no backend works. */
  preferredBackend(): BackendName;
}

/** The real thing: warms the thread pool; what writes rules is looked for when it is needed first. Once at start. */
export async function captureEffect(
  options: { readonly backend?: BackendChoice | undefined } = {},
): Promise<CaptureEffect> {
  const effects = await kernelEffects(options);
  return {
    begin: (request) => beginCapture(request, effects),
    refuse: (request) => refuseNetns(request, effects),
    clean: (netnsPath) => cleanNetns(netnsPath, effects),
    inspect: (netnsPath, ruleset) => inspectNetns(netnsPath, effects, ruleset),
    preferredBackend: () => effects.backends.preferred(),
  };
}

/** Rules, proof and mark in one go, for callers that can tell at once whether the sandbox is still the pod's. */
export function captureNetns(
  request: CaptureRequest & { readonly stillCurrent?: () => boolean },
  effects: NetnsEffects,
): CaptureOutcome {
  const session = beginCapture(request, effects);
  try {
    if (request.stillCurrent?.() === false) {
      throw new ControllerError('SandboxReplaced', `netns ${request.netnsPath}: its sandbox was replaced meanwhile`);
    }
    return session.finish();
  } finally {
    session.close();
  }
}

/**
 * Brings the rules of one netns to what they should be and proves them. The descriptor is held from here to `close`, so the netns cannot
 * be exchanged under us. Throws a ControllerError; then no ready mark was written, and a failed proof is told in the netns.
 */
export function beginCapture(request: CaptureRequest, effects: NetnsEffects): CaptureSession {
  const startMs = effects.nowMs();
  const netns = effects.open(request.netnsPath);
  try {
    const state = effects.enter(netns, () => bringIn(request, effects, startMs));
    const workedMs = effects.nowMs() - startMs;
    return {
      action: state.action,
      finish: () => finish({ request, effects, netns, state, workedMs }),
      close: () => netns.close(),
    };
  } catch (error: unknown) {
    if (isControllerError(error, 'ProofFailed')) tellInNetns(effects, netns, error);
    netns.close();
    throw error;
  }
}

interface State extends Pick<CaptureOutcome, 'action' | 'drift' | 'previousPolicyHash' | 'unroutable'> {
  readonly backend: BackendName;
  readonly mark: Mark;
  readonly timingsMs: Omit<CaptureOutcome['timingsMs'], 'mark' | 'total'>;
}

/** Runs inside the netns. */
function bringIn(request: CaptureRequest, effects: NetnsEffects, startMs: number): State {
  const { ruleset } = request;
  const { nowMs } = effects;
  requireMember(request, effects);
  const mark = effects.readMark();
  const enter = nowMs() - startMs;
  const rules = bringRules(effects, { ruleset, mark, ownUserNamespace: request.ownUserNamespace ?? false });
  const { backend, drift, previousPolicyHash } = rules;
  const found = { backend, mark, drift, previousPolicyHash };
  const timingsMs = { enter, ...rules.timingsMs, probe: 0 };
  const marked = mark.kind === 'ready' && mark.policyHash === ruleset.policyHash;
  if (marked && !rules.written) return { ...found, action: 'kept', unroutable: [], timingsMs };
  const probeMs = nowMs();
  const unroutable = prove(effects, request);
  const action = rules.written ? 'applied' : 'remarked';
  return { ...found, action, unroutable, timingsMs: { ...timingsMs, probe: nowMs() - probeMs } };
}

/** Throws if a probe disproves the rules; returns what could not be shown either way. */
function prove(effects: NetnsEffects, { probes, ruleset }: CaptureRequest): readonly string[] {
  const results = effects.runProbes(probes, { exemptInterfaces: exemptInterfaces(ruleset) });
  const [first, ...more] = results.filter(({ outcome }) => outcome === 'failed');
  if (first === undefined) return results.filter(({ outcome }) => outcome !== 'proven').map(({ detail }) => detail);
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
  throw new ControllerError('ProofFailed', `${first.detail}${others}`, {
    hint: 'Another nftables or iptables table in the netns may decide before ours: nft list ruleset there.',
  });
}

/** What leaves by these is let go before any other rule is asked. */
function exemptInterfaces({ chains }: Ruleset): readonly string[] {
  const names: string[] = [];
  for (const { base, rules } of chains) {
    if (base?.hook !== 'output') continue;
    for (const { matches, verdict } of rules) {
      const [only] = matches;
      if (only?.kind !== 'outputInterface' || only.negate || matches.length > 1 || verdict.kind !== 'return') continue;
      names.push(only.name);
    }
  }
  return names;
}

function finish(given: {
  readonly request: CaptureRequest;
  readonly effects: NetnsEffects;
  readonly netns: Netns;
  readonly state: State;
  readonly workedMs: number;
}): CaptureOutcome {
  const { request, effects, netns, state, workedMs } = given;
  const startMs = effects.nowMs();
  if (state.action !== 'kept') {
    effects.enter(netns, () => effects.writeMark(readyMark(request.ruleset.policyHash)));
  }
  const markMs = effects.nowMs() - startMs;
  return {
    action: state.action,
    backend: state.backend,
    netnsCookie: netns.cookie,
    drift: state.drift,
    previousPolicyHash: state.previousPolicyHash,
    foreignAlias: state.mark.kind === 'foreign' ? state.mark.alias : undefined,
    unroutable: state.unroutable,
    timingsMs: { ...state.timingsMs, mark: markMs, total: workedMs + markMs },
  };
}

/** Best effort: the failure itself is what the caller hears. */
function tellInNetns(effects: NetnsEffects, netns: Netns, failure: ControllerError): void {
  try {
    effects.enter(netns, () => effects.writeMark(refusedMark(failure.code, failure.message)));
  } catch (error: unknown) {
    if (!isControllerError(error)) throw error;
  }
}
