import { setTimeout as delay } from 'node:timers/promises';
import { poll } from '../../lab/poll.ts';
import { LIST_WATCH_TIMES, type ListWatchTimes } from '../../src/kube/list-watch-state.ts';
import { LIST_WATCHES_PER_AGENT } from './agent.ts';
import type { ApiServer } from './api-server.ts';
import { type Arrival, coldStart, fanOut, outage, replacement } from './arrivals.ts';
import { type Churn, churn } from './churn.ts';
import { type Crew, hireCrew } from './crew.ts';
import { sumByKind } from './herd.ts';
import type { Population } from './populate.ts';
import { usageOf } from '../process-usage.ts';
import { type Comparison, compare } from './reads.ts';
import { type ServerSnapshot, snapshot } from './snapshot.ts';

export interface StagePlan {
  /** Node processes that the agents are spread over. */
  readonly processes: number;
  readonly idleSeconds: number;
  readonly churnPods: number;
  readonly churnPerSecond: number;
  readonly fanOutRounds: number;
  /** How long the API server stays away once it was killed, beside the time it takes to start. */
  readonly pausesMs: readonly number[];
  readonly replacements: number;
  readonly comparedPods: number;
  /** Other times for the list/watches than the product's, to see what they would change. */
  readonly times: Partial<ListWatchTimes>;
}

/** Everything that was measured with one number of nodes. */
export interface Stage {
  readonly nodes: number;
  readonly pods: number;
  readonly podBytes: number;
  readonly times: Partial<ListWatchTimes>;
  readonly withoutAgents: ServerSnapshot;
  readonly withAgents: ServerSnapshot;
  readonly arrivals: readonly Arrival[];
  readonly idle: Idle;
  /** One list per round: milliseconds until each agent knew of a change of a Namespace. */
  readonly fanOutMs: readonly (readonly number[])[];
  readonly churn: Churn;
  readonly comparison: Comparison;
  readonly agentsRssMiB: number;
  readonly etcdRssMiB: number;
}

/** Nobody does anything: what the watches alone cost. */
interface Idle {
  readonly seconds: number;
  readonly requests: Readonly<Record<string, number>>;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly serverCpuSeconds: number;
  readonly agentsCpuSeconds: number;
}

export async function runStage(
  server: ApiServer,
  population: Population,
  { nodes, plan, say }: { readonly nodes: number; readonly plan: StagePlan; readonly say: (line: string) => void },
): Promise<Stage> {
  const crew = await hireCrew(population.agents.slice(0, nodes), plan.processes);
  try {
    const arrivals: Arrival[] = [];
    const arrived = (arrival: Arrival) => {
      arrivals.push(arrival);
      say(describeArrival(arrival));
    };
    arrived(await coldStart(server, crew, { times: { ...LIST_WATCH_TIMES, ...plan.times } }));
    const idle = await watchIdle(server, crew, plan.idleSeconds);
    say(
      `idle for ${plan.idleSeconds} s: server ${idle.serverCpuSeconds.toFixed(2)} s of CPU, ${idle.receivedBytes} bytes to the agents`,
    );
    const fanOutMs: (readonly number[])[] = [];
    for (let round = 0; round < plan.fanOutRounds; round += 1) {
      const knew = await fanOut(server, crew, round);
      fanOutMs.push(knew);
      say(
        `a Namespace changes: ${knew.length} of ${nodes} agents know, the last after ${Math.max(...knew).toFixed(0)} ms`,
      );
    }
    const { churnPods: pods, churnPerSecond: perSecond } = plan;
    const wanted = { round: `churn-${nodes}`, pods, perSecond, namespaces: population.namespaces };
    const churned = await churn(server, crew, wanted);
    say(
      `${pods} pods start: patch → another watcher p50 ${median(churned.toWatcherMs).toFixed(1)} ms, ${churned.toWatcherMs.length} landed`,
    );
    const comparison = await compare(server, population, plan.comparedPods);
    say(
      `per pod, server CPU: one patch ${comparison.serverCpuMsPerPatch.toFixed(1)} ms, six reads ${comparison.serverCpuMsPerSixReads.toFixed(1)} ms`,
    );
    for (let round = 0; round < plan.replacements; round += 1) arrived(await replacement(server, crew));
    for (const pauseMs of plan.pausesMs) arrived(await outage(server, crew, pauseMs));
    const { rssMiB: agentsRssMiB } = await crew.report();
    const { withAgents, withoutAgents } = await memoryOf(server, crew);
    say(
      `memory: heap ${mib(withoutAgents.heapMiB)} → ${mib(withAgents.heapMiB)}, stacks ${mib(withoutAgents.stacksMiB)} → ${mib(withAgents.stacksMiB)}, RSS ${mib(withAgents.rssMiB)}`,
    );
    const { rssMiB: etcdRssMiB } = usageOf(server.etcdPid());
    const pods_ = nodes * (population.podsPerNode + 1);
    const seen = { withoutAgents, withAgents, arrivals, idle, fanOutMs, churn: churned, comparison };
    return { nodes, pods: pods_, podBytes: population.podBytes, times: plan.times, ...seen, agentsRssMiB, etcdRssMiB };
  } finally {
    await crew.end();
  }
}

/** With all agents, and once they have all gone: the same server with the same objects, whose caches have had their time to settle. */
async function memoryOf(server: ApiServer, crew: Crew): Promise<Pick<Stage, 'withAgents' | 'withoutAgents'>> {
  const withAgents = await snapshot(server);
  await crew.end();
  const withoutAgents = await poll(
    async () => {
      const now = await snapshot(server);
      return now.watches <= withAgents.watches - LIST_WATCHES_PER_AGENT * crew.size ? now : undefined;
    },
    { what: 'the watches of agents that are gone end', timeoutMs: 30_000, intervalMs: 1_000 },
  );
  return { withAgents, withoutAgents };
}

async function watchIdle(server: ApiServer, crew: Crew, seconds: number): Promise<Idle> {
  const before = await crew.report({ clear: true });
  const { cpuSeconds } = usageOf(server.pid());
  await delay(seconds * 1_000);
  const after = await crew.report({ clear: true });
  return {
    seconds,
    requests: sumByKind(after.requests),
    receivedBytes: after.receivedBytes - before.receivedBytes,
    sentBytes: after.sentBytes - before.sentBytes,
    serverCpuSeconds: usageOf(server.pid()).cpuSeconds - cpuSeconds,
    agentsCpuSeconds: after.cpuSeconds - before.cpuSeconds,
  };
}

function describeArrival({ what, awayMs, herd, settled, serverCpuSeconds, agentsCpuSeconds }: Arrival): string {
  const sorted = herd.syncedMs.toSorted((a, b) => a - b);
  const at = (share: number) => ((sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN) / 1_000).toFixed(2);
  const away = awayMs === 0 ? '' : ` (away ${(awayMs / 1_000).toFixed(1)} s)`;
  const end = settled ? '' : ` NOT ALL BACK (${herd.lost} missing)`;
  const cpu = `CPU: server ${serverCpuSeconds.toFixed(1)} s, agents ${agentsCpuSeconds.toFixed(1)} s`;
  return `${what}${away}: synced p50 ${at(0.5)} s, p99 ${at(0.99)} s, last ${at(1)} s; peak ${herd.peakPerSecond}/s; ${cpu}${end}`;
}

const mib = (value: number) => `${value.toFixed(0)} MiB`;
const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length / 2) - 1] ?? Number.NaN;
