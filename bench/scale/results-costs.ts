import type { Measured } from '../question.ts';
import { byNodes, common, LARGEST_CLUSTER, MIB, overNodes, round, series, sum } from './results-parts.ts';
import type { Stage } from './stage.ts';

/** Product's watches end after 300 to 600 seconds, evenly spread. */
const MEAN_WATCH_SECONDS = 450;
const WATCHES_PER_AGENT = 2;
const KIB_PER_MIB = 1_024;

export function memory(stages: readonly Stage[]): Measured {
  const perWatch = (stage: Stage, part: 'heapMiB' | 'stacksMiB') =>
    ((stage.withAgents[part] - stage.withoutAgents[part]) * KIB_PER_MIB) / (stage.nodes * WATCHES_PER_AGENT);
  return {
    slug: 'memory',
    title: 'Memory of kube-apiserver per watch, its connection included',
    unit: 'KiB',
    series: stages.flatMap((stage) => [
      series(stage.nodes, 'heap that lives', [perWatch(stage, 'heapMiB')]),
      series(stage.nodes, 'stacks', [perWatch(stage, 'stacksMiB')]),
    ]),
    plots: [overNodes(stages, 'linear')],
    tables: [
      {
        title: 'While nobody does anything',
        columns: [
          'nodes',
          'pods',
          'watches',
          'heap without agents, MiB',
          'heap with, MiB',
          'stacks with, MiB',
          'RSS with, MiB',
          'goroutines',
          'requests/s of all agents',
          'watches reopened/s (computed)',
          'bytes/s to all agents',
          'server CPU, % of a core',
        ],
        rows: stages.map((stage) => [
          stage.nodes,
          stage.pods,
          stage.withAgents.watches,
          round(stage.withoutAgents.heapMiB),
          round(stage.withAgents.heapMiB),
          round(stage.withAgents.stacksMiB),
          round(stage.withAgents.rssMiB),
          stage.withAgents.goroutines,
          round(sum(Object.values(stage.idle.requests)) / stage.idle.seconds),
          round((stage.nodes * WATCHES_PER_AGENT) / MEAN_WATCH_SECONDS),
          round(stage.idle.receivedBytes / stage.idle.seconds),
          round((stage.idle.serverCpuSeconds / stage.idle.seconds) * 100),
        ]),
      },
    ],
    facts: {
      ...common(stages),
      [`watches reopened per second with ${LARGEST_CLUSTER} nodes, computed`]: round(
        (LARGEST_CLUSTER * WATCHES_PER_AGENT) / MEAN_WATCH_SECONDS,
      ),
    },
  };
}

export function perPod(stages: readonly Stage[]): Measured {
  return {
    slug: 'per-pod',
    title: 'What a starting pod asks of the API server, one request after another',
    unit: 'ms',
    series: stages.flatMap(({ nodes, comparison }) => [
      series(nodes, 'ours: one patch', comparison.onePatchMs),
      series(nodes, 'six reads, as linkerd-cni may need', comparison.sixReadsMs),
    ]),
    tables: [
      {
        title: 'Counts per starting pod, whole cluster',
        columns: ['nodes', 'who', 'requests', 'watch events sent', 'server CPU for the requests, ms'],
        rows: stages.flatMap(({ nodes, comparison }) => [
          // Created and annotated, each told to the agent of its node alone.
          [nodes, 'ours', 1, 2, round(comparison.serverCpuMsPerPatch)],
          [nodes, 'six reads', 6, 0, round(comparison.serverCpuMsPerSixReads)],
          [
            nodes,
            'ours, if every agent watched all pods (computed)',
            1,
            2 * nodes,
            round(comparison.serverCpuMsPerPatch),
          ],
        ]),
      },
      {
        title: 'Agents that watch all pods: what the first list of each is',
        columns: [
          'nodes',
          'MiB for one agent',
          's',
          'server CPU, s',
          'GiB for all (computed)',
          'server CPU for all, s (computed)',
        ],
        rows: stages.map(({ nodes, comparison }) => [
          nodes,
          round(comparison.allPodsListBytes / MIB),
          round(Math.min(...comparison.allPodsListMs) / 1_000),
          round(comparison.allPodsListServerCpuSeconds),
          round((comparison.allPodsListBytes * nodes) / 2 ** 30),
          round(comparison.allPodsListServerCpuSeconds * nodes),
        ]),
      },
    ],
    facts: {
      ...common(stages),
      ...byNodes(stages, 'pods compared', ({ comparison }) => comparison.pods),
      ...byNodes(stages, "ms of a patch in the chart's policies", ({ comparison }) =>
        round(comparison.policiesMsPerPatch),
      ),
    },
  };
}
