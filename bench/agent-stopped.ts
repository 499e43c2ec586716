import { kill } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { type Agent, connectedAgent, metricsOf } from '../test/support/cluster-agent.ts';
import { waitFor } from '../test/support/cluster.ts';
import { removePod, type StoredPod } from './cluster/api.ts';
import { firstLine } from './cluster/container-log.ts';
import { count } from './cluster/counts.ts';
import type { EnvironmentName } from './cluster/environment.ts';
import { createStartPod, startOne } from './cluster/start-pods.ts';
import type { Context } from './question.ts';
import type { Result } from './result.ts';
import { spread } from './spread.ts';

/**
 * The agent stands still (SIGSTOP) while pods start that are not ours: what does the runtime, which calls it for every pod of the node, make
 * them pay? The same pods at the same pace with an undisturbed agent, in turn; all stay until the last one has started, because to end them
 * takes as much of a small machine as to start them. Then: is the agent back by itself?
 */
const PODS = count('stopped-pods', { usual: 16, full: 50 });
const ROUNDS = count('stopped-rounds', { usual: 1, full: 2 });
const STOPPED_MS = 30_000;
/** The last pod begins so long before the agent goes on: all of its start is in that time. */
const LAST_BEFORE_MS = 3_000;
const BACK_TIMEOUT_MS = 120_000;
const STARTED_TIMEOUT_MS = 60_000;
/** Kubelet and the runtime clean up behind the API object. */
const CLEANED_MS = 3_000;
const [UNDISTURBED, STOPPED] = ['undisturbed', 'agent stopped'] as const;
const RATIO = 'unmeshed while the agent stands still over undisturbed';

/** Where the runtime calls the agent. */
export const STOPPED_ENVIRONMENT: EnvironmentName = 'NRI';

export interface Stopped {
  readonly undisturbedMs: readonly number[];
  readonly stoppedMs: readonly number[];
  /** One for each time the agent was stopped. */
  readonly times: readonly Stop[];
}

/** How long the agent stood still, and what it took to be back. */
interface Stop {
  readonly seconds: number;
  /** From SIGCONT until it is Ready and called by the runtime again. */
  readonly backMs: number;
  /** Kubelet's liveness probe may have ended it meanwhile. */
  readonly restarted: boolean;
  /** A mesh pod afterwards: captured, or it would not have started. */
  readonly meshPodMs: number;
}

/** In the environment `STOPPED_ENVIRONMENT`; the rounds that there is time for. */
export async function measureStopped(ctx: Pick<Context, 'say'>, over: AbortSignal): Promise<Stopped> {
  const undisturbedMs: number[] = [];
  const stoppedMs: number[] = [];
  const times: Stop[] = [];
  const undisturbed = async (pods: StoredPod[]) => void undisturbedMs.push(...(await pacedStarts(pods)));
  const stopped = async (pods: StoredPod[]) => {
    times.push(await whileStopped(async () => void stoppedMs.push(...(await pacedStarts(pods)))));
  };
  const runs = [undisturbed, stopped];
  for (let round = 0; round < ROUNDS && !over.aborted; round += 1) {
    for (const run of round % 2 === 0 ? runs : runs.toReversed()) {
      if (over.aborted) break;
      const pods: StoredPod[] = [];
      await run(pods).finally(() => removeAll(pods));
    }
    ctx.say(`unmeshed pods: ${line(UNDISTURBED, undisturbedMs)}; ${line(STOPPED, stoppedMs)}`);
  }
  return { undisturbedMs, stoppedMs, times };
}

/** One after another begins, whether or not those before are there yet. They go on, and are added to `pods`. */
async function pacedStarts(pods: StoredPod[]): Promise<readonly number[]> {
  const paceMs = (STOPPED_MS - LAST_BEFORE_MS) / PODS;
  const starts = Array.from({ length: PODS }, async (_, index) => {
    await delay(index * paceMs);
    const pod = await createStartPod({ kind: 'plain', environment: STOPPED_ENVIRONMENT, args: ['echo'] });
    pods.push(pod);
    const { takenAtMs } = await firstLine(pod, 'app', STARTED_TIMEOUT_MS);
    return takenAtMs - pod.requestedAtMs;
  });
  return Promise.all(starts);
}

async function removeAll(pods: readonly StoredPod[]): Promise<void> {
  await Promise.all(pods.map(removePod));
  await delay(CLEANED_MS);
}

/** Does the work while the agent stands still, and that for its whole time at least; then waits until the agent is back. */
async function whileStopped(work: () => Promise<void>): Promise<Stop> {
  const agent = await connectedAgent({ timeoutMs: BACK_TIMEOUT_MS });
  const connections = await connectionsOf(agent);
  const beganMs = performance.now();
  kill(agent.pid, 'SIGSTOP');
  try {
    await Promise.all([work(), delay(STOPPED_MS)]);
  } finally {
    goOn(agent.pid);
  }
  const onMs = performance.now();
  const after = await waitFor(
    'the agent is called by the runtime again',
    async () => {
      const now = await connectedAgent({ timeoutMs: BACK_TIMEOUT_MS });
      // It learns that it was dropped a moment after it goes on; a new process counts from 0.
      return (now.pid !== agent.pid || (await connectionsOf(now)) > connections) && now;
    },
    { timeoutMs: BACK_TIMEOUT_MS },
  );
  const backMs = performance.now() - onMs;
  const { startMs: meshPodMs } = await startOne('mesh', STOPPED_ENVIRONMENT);
  return { seconds: (onMs - beganMs) / 1_000, backMs, restarted: after.pid !== agent.pid, meshPodMs };
}

function goOn(pid: number): void {
  try {
    kill(pid, 'SIGCONT');
  } catch (error: unknown) {
    // Kubelet was faster; its successor was never stopped.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

async function connectionsOf(agent: Agent): Promise<number> {
  return (await metricsOf(agent)).sum('nri_connections_total', { result: 'connected' });
}

export function stoppedResult(ctx: Pick<Context, 'result'>, { undisturbedMs, stoppedMs, times }: Stopped): Result {
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
    ],
    facts: {
      'pods each time': `${PODS}, one begun every ${Math.round((STOPPED_MS - LAST_BEFORE_MS) / PODS)} ms`,
      'how long containerd waits for a plugin':
        '2 s for one answer (plugin_request_timeout), under a lock for all pods of the node; then it drops the plugin, and calls nobody until the plugin connects anew',
      'the agent stood still, s': times.map(({ seconds }) => seconds.toFixed(1)).join(', '),
      ...(compared ? { 'slowest pod, ms more than the slowest undisturbed one': slower } : {}),
      'back by itself after SIGCONT: Ready, and called by the runtime, ms': listed(times.map(({ backMs }) => backMs)),
      "of these, ended meanwhile by kubelet's liveness probe": times.filter(({ restarted }) => restarted).length,
      'a mesh pod right after that, ms': listed(times.map(({ meshPodMs }) => meshPodMs)),
    },
    ratios: compared ? [{ label: RATIO, of: STOPPED, over: UNDISTURBED }] : [],
    targets: compared ? [{ what: RATIO, ratio: RATIO, atMost: 1.05 }] : [],
  });
}

function line(name: string, values: readonly number[]): string {
  const { count: n, p50, max } = spread(values);
  return `${name} n ${n}, p50 ${p50.toFixed(0)} ms, max ${max.toFixed(0)} ms`;
}
