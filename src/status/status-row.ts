import type { CapturePolicy } from '../capture/policy.ts';
import { INITIALIZE_ANNOTATION } from '../enrollment/decide.ts';
import { requiresPlugin } from '../enrollment/required-plugins.ts';
import type { Decision } from '../enrollment/reasons.ts';
import type { Agents } from './agents.ts';
import { plainText } from './plain-text.ts';
import { policySummary } from './policy-summary.ts';
import type { PodState, StatusReason } from './reasons.ts';
import type { Report, StatusPod } from './status-pod.ts';

/** One mesh pod, as `status` shows it. Times are milliseconds since the epoch. */
export interface StatusRow {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly state: PodState;
  readonly reason: StatusReason;
  /** One line for people; empty while there is nothing to say. */
  readonly message: string;
  /** What is captured, by the pod's own settings; empty for pods that are not captured. */
  readonly policy: string;
  readonly proxyUids: readonly number[];
  readonly createdMs: number | undefined;
  /** Since when it is in this state, where that is known. */
  readonly sinceMs: number | undefined;
  readonly report: Report;
}

/** What the agent would decide about a pod. */
export interface Judged {
  readonly decision: Decision;
  readonly policy: CapturePolicy | undefined;
}

/** A gate that is through ends within a moment of the agent's report. */
const GATE_MOMENT_MS = 10_000;

/** State and reason of a pod, from the cluster alone: what it asks for, what its gate does, what the agent says. */
export function statusRow(
  one: StatusPod,
  judged: Judged,
  { agents, nowMs }: { readonly agents: Agents; readonly nowMs: number },
): StatusRow {
  const { pod, createdMs, report } = one;
  const { decision, policy } = judged;
  const seen = decision.action === 'enroll' ? captureState(one, decision, { agents, nowMs }) : decided(decision);
  return {
    namespace: pod.namespace,
    name: pod.name,
    node: pod.nodeName,
    createdMs,
    report,
    policy: policy === undefined ? '' : policySummary(policy),
    proxyUids: policy?.proxyUids.value ?? [],
    state: seen.state,
    reason: seen.reason,
    message: plainText(seen.message ?? ''),
    sinceMs: seen.sinceMs,
  };
}

/** Those that asked and are not served are shown; those that are not ours are not. */
export function isShown({ pod }: StatusPod, { decision }: Judged): boolean {
  if (decision.action !== 'ignore' || decision.warn) return true;
  return pod.annotations[INITIALIZE_ANNOTATION] === 'true' && decision.reason !== 'Terminated';
}

interface Seen {
  readonly state: PodState;
  readonly reason: StatusReason;
  readonly message?: string | undefined;
  readonly sinceMs?: number | undefined;
}

function decided({ action, reason, message }: Decision): Seen {
  return { state: action === 'refuse' ? 'failed' : 'ignored', reason, message };
}

function captureState(
  one: StatusPod,
  { reason }: Decision,
  context: { readonly agents: Agents; readonly nowMs: number },
): Seen {
  const { gate, report } = one;
  const stale = gate?.state === 'running' && context.nowMs - (gate.startedMs ?? context.nowMs) > GATE_MOMENT_MS;
  if (report.status === 'initialized' && !stale) return { state: 'initialized', reason, sinceMs: report.atMs };
  if (report.status === 'failed') return { state: 'failed', reason: 'CaptureFailed', message: report.message };
  if (one.pod.nodeName === '') return { state: 'starting', reason: 'NotScheduled', message: one.unscheduled };
  if (gate === undefined) return withoutGate(one, context.agents);
  const sinceMs = gate.startedMs;
  switch (gate.state) {
    case 'unknown':
    case 'waiting':
      return gate.reason === 'CrashLoopBackOff'
        ? { state: 'waiting', reason: 'GateEnded', message: `${gate.container}: ${gate.reason}` }
        : { state: 'starting', reason: 'NotStarted', message: gate.reason };
    case 'terminated':
      return gate.exitCode === 0
        ? { state: 'initialized', reason: 'NotReported', sinceMs }
        : {
            state: 'waiting',
            reason: 'GateEnded',
            sinceMs,
            message: `${gate.container}: exit code ${gate.exitCode ?? '?'}`,
          };
    case 'running':
      return { state: 'waiting', sinceMs, ...whyWaiting(one, context.agents) };
  }
}

function whyWaiting({ pod, report }: StatusPod, agents: Agents): Pick<Seen, 'reason' | 'message'> {
  const agent = agents === 'unknown' ? undefined : agents.get(pod.nodeName);
  if (agents !== 'unknown' && agent === undefined)
    return { reason: 'AgentMissing', message: `no agent on node ${pod.nodeName}` };
  if (agent !== undefined && !agent.ready) {
    const why = agent.trouble === '' ? '' : `: ${agent.trouble}`;
    return { reason: 'AgentNotReady', message: `the agent of node ${pod.nodeName} is not ready${why}` };
  }
  if (report.status === 'initialized') return { reason: 'StaleReport', message: 'the report is of an earlier sandbox' };
  return { reason: 'GateWaits', message: report.message };
}

/** What holds it back is the runtime, if anything does; once it runs, that is no more to be seen. */
function withoutGate(one: StatusPod, agents: Agents): Seen {
  if (one.pod.phase === 'Running' || !requiresPlugin(one.pod.annotations))
    return { state: 'waiting', reason: 'NoGate', message: noGate(one) };
  const why = whyWaiting(one, agents);
  return { state: 'waiting', ...why, reason: why.reason === 'GateWaits' ? 'HeldByRuntime' : why.reason };
}

function noGate({ pod }: StatusPod): string {
  return pod.phase === 'Running' ? 'it runs without a gate and without a report of the agent' : 'it has no gate';
}
