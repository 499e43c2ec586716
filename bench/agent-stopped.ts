import { kill } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { type Agent, connectedAgent, metricsOf } from '../test/support/cluster-agent.ts';
import { waitFor } from '../test/support/cluster.ts';
import {
  PACE_MS,
  type PacedStart,
  STOPPED,
  STOPPED_MS,
  STOPPED_PODS,
  startsOf,
  type Stop,
  type Stopped,
  UNDISTURBED,
} from './agent-stopped-result.ts';
import { removePod, type StoredPod } from './cluster/api.ts';
import { count } from './cluster/counts.ts';
import type { EnvironmentName } from './cluster/environment.ts';
import { createStartPod, firstLineStartMs, startOne } from './cluster/start-pods.ts';
import type { Context } from './question.ts';
import { spread } from './spread.ts';

/**
 * The agent stands still (SIGSTOP) while pods start that are not ours: what does the runtime, which calls it for every pod of the node, make
 * them pay? The same pods at the same pace with an undisturbed agent, in turn; all stay until the last one has started, because to end them
 * takes as much of a small machine as to start them. Then: is the agent back by itself?
 */
const ROUNDS = count('stopped-rounds');
const BACK_TIMEOUT_MS = 120_000;
const STARTED_TIMEOUT_MS = 60_000;
/** The kernel goes on for about a minute to destroy the namespaces and cgroups of 50 pods, which doubles the times of pods meanwhile. */
const CLEANED_MS = 1_000 * count('stopped-clean-s');

/** Where the runtime calls the agent. */
export const STOPPED_ENVIRONMENT: EnvironmentName = 'NRI';

/** In the environment `STOPPED_ENVIRONMENT`; the rounds that there is time for. */
export async function measureStopped(ctx: Pick<Context, 'say'>, over: AbortSignal): Promise<Stopped> {
  const undisturbedMs: number[] = [];
  const stopped: PacedStart[] = [];
  const times: Stop[] = [];
  const runUndisturbed = async (pods: StoredPod[]) => {
    undisturbedMs.push(...startsOf(await pacedStarts(pods)));
  };
  const runStopped = async (pods: StoredPod[]) => {
    times.push(await whileStopped(async () => void stopped.push(...(await pacedStarts(pods)))));
  };
  const runs = [runUndisturbed, runStopped];
  for (let round = 0; round < ROUNDS && !over.aborted; round += 1) {
    for (const run of round % 2 === 0 ? runs : runs.toReversed()) {
      if (over.aborted) break;
      const pods: StoredPod[] = [];
      try {
        await run(pods);
      } finally {
        await removeAll(pods);
      }
    }
    ctx.say(`unmeshed pods: ${line(UNDISTURBED, undisturbedMs)}; ${line(STOPPED, startsOf(stopped))}`);
  }
  return { undisturbedMs, stopped, times };
}

/** One after another begins, whether or not those before are there yet. They go on, and are added to `pods`. */
async function pacedStarts(pods: StoredPod[]): Promise<readonly PacedStart[]> {
  const starts = Array.from({ length: STOPPED_PODS }, async (_, index) => {
    const begunAfterMs = index * PACE_MS;
    await delay(begunAfterMs);
    const pod = await createStartPod({ kind: 'plain', environment: STOPPED_ENVIRONMENT, args: ['echo'] });
    pods.push(pod);
    return { begunAfterMs, startMs: await firstLineStartMs(pod, STARTED_TIMEOUT_MS) };
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

function line(name: string, values: readonly number[]): string {
  const { count: n, p50, max } = spread(values);
  return `${name} n ${n}, p50 ${p50.toFixed(0)} ms, max ${max.toFixed(0)} ms`;
}
