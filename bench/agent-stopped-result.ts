import { count } from './cluster/counts.ts';
import type { Context } from './question.ts';
import type { Result } from './result.ts';
import { spread } from './spread.ts';

/** Pods of one run, begun at a fixed pace in the time for which the agent stands still, but for its end: their starts are in it, too. */
export const STOPPED_PODS = count('stopped-pods');
export const STOPPED_MS = 30_000;
const LAST_BEFORE_MS = 3_000;
export const PACE_MS = (STOPPED_MS - LAST_BEFORE_MS) / STOPPED_PODS;
/** By then the runtime has given up on the agent (2 s) and has caught up with the pods that queued meanwhile. */
const DROPPED_AFTER_MS = 5_000;
export const [UNDISTURBED, STOPPED] = ['undisturbed', 'agent stopped'] as const;
const DROPPED = 'agent stopped and dropped';
const RATIO = 'unmeshed while the agent stands still over undisturbed';
const DROPPED_RATIO = 'of these, once the runtime has dropped the agent, over undisturbed';

export interface Stopped {
  readonly undisturbedMs: readonly number[];
  readonly stopped: readonly PacedStart[];
  /** One for each time the agent was stopped. */
  readonly times: readonly Stop[];
}

export interface PacedStart {
  /** From the moment when the first pod of the run begins. */
  readonly begunAfterMs: number;
  readonly startMs: number;
}

/** How long the agent stood still, and what it took to be back. */
export interface Stop {
  readonly seconds: number;
  /** From SIGCONT until it is Ready and called by the runtime again. */
  readonly backMs: number;
  /** Kubelet's liveness probe may have ended it meanwhile. */
  readonly restarted: boolean;
  /** A mesh pod afterwards: captured, or it would not have started. */
  readonly meshPodMs: number;
}

export function stoppedResult(ctx: Pick<Context, 'result'>, { undisturbedMs, stopped, times }: Stopped): Result {
  const stoppedMs = startsOf(stopped);
  const droppedMs = startsOf(stopped.filter(({ begunAfterMs }) => begunAfterMs >= DROPPED_AFTER_MS));
  const compared = undisturbedMs.length > 0 && stoppedMs.length > 0;
  const listed = (values: readonly number[]) => values.map((value) => value.toFixed(0)).join(', ');
  const slower = spread(stoppedMs).max - spread(undisturbedMs).max;
  return ctx.result({
    slug: 'agent-stopped',
    title: 'The agent stands still: unmeshed pod created → first line of the application, NRI',
    unit: 'ms',
    series: [
      { name: UNDISTURBED, values: undisturbedMs },
      { name: STOPPED, values: stoppedMs, note: 'SIGSTOP before the first of them begins' },
      { name: DROPPED, values: droppedMs, note: `of these, begun ${DROPPED_AFTER_MS / 1_000} s later or more` },
    ],
    facts: {
      'pods each time': `${STOPPED_PODS}, one begun every ${Math.round(PACE_MS)} ms`,
      'how long containerd waits for a plugin':
        '2 s for one answer (plugin_request_timeout), under a lock for all pods of the node; then it drops the plugin, and calls nobody until the plugin connects anew',
      'the agent stood still, s': times.map(({ seconds }) => seconds.toFixed(1)).join(', '),
      ...(compared ? { 'slowest pod, ms more than the slowest undisturbed one': slower } : {}),
      'back by itself after SIGCONT: Ready, and called by the runtime, ms': listed(times.map(({ backMs }) => backMs)),
      "of these, ended meanwhile by kubelet's liveness probe": times.filter(({ restarted }) => restarted).length,
      'a mesh pod right after that, ms': listed(times.map(({ meshPodMs }) => meshPodMs)),
    },
    ratios: compared
      ? [
          { label: RATIO, of: STOPPED, over: UNDISTURBED },
          { label: DROPPED_RATIO, of: DROPPED, over: UNDISTURBED },
        ]
      : [],
    targets: compared ? [RATIO, DROPPED_RATIO].map((ratio) => ({ what: ratio, ratio, atMost: 1.05 })) : [],
  });
}

export function startsOf(starts: readonly PacedStart[]): readonly number[] {
  return starts.map(({ startMs }) => startMs);
}
