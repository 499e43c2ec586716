import type { Measured } from '../question.ts';
import type { Plot, Series } from '../result.ts';
import type { Stage } from './stage.ts';

export const MIB = 2 ** 20;
/** Nodes that Kubernetes supports at most. */
export const LARGEST_CLUSTER = 5_000;

/** What belongs to every number. */
export function common(stages: readonly Stage[]): Measured['facts'] {
  return {
    nodes: stages.map(({ nodes }) => nodes).join(', '),
    'pods, the agents themselves included': stages.map(({ pods }) => pods).join(', '),
    'bytes of a pod as JSON': stages[0]?.podBytes ?? 0,
    'identity of an agent': "a ServiceAccount's token bound to a pod of its node, from TokenRequest",
    'policies and rights': "the chart's",
    'API server': 'one kube-apiserver with default limits, etcd without fsync, both on the same cores as all agents',
  };
}

export function series(nodes: number, line: string, values: readonly number[]): Series {
  return { name: `${nodes} nodes, ${line}`, values, at: { line, x: nodes } };
}

/** Lines over the sizes; of one size there is no line, and its values are shown themselves. */
export function overNodes(stages: readonly Stage[], axis: Plot['axis']): Plot {
  const sizes = new Set(stages.map(({ nodes }) => nodes));
  return sizes.size > 1 ? { kind: 'lines', axis, xLabel: 'nodes', xAxis: 'linear' } : { kind: 'strip', axis };
}

export function byNodes(
  stages: readonly Stage[],
  what: string,
  value: (stage: Stage) => string | number,
): Record<string, string | number> {
  return Object.fromEntries(stages.map((stage) => [`${stage.nodes} nodes: ${what}`, value(stage)]));
}

export function listed(counts: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(counts).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([what, count]) => `${what}: ${count}`).join(', ') || 'none';
}

export const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
export const round = (value: number) => Math.round(value * 100) / 100;
