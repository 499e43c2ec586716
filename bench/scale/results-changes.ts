import type { Measured } from '../question.ts';
import type { Series } from '../result.ts';
import { byNodes, common, listed, overNodes, series } from './results-parts.ts';
import type { Stage } from './stage.ts';

export function landing(stages: readonly Stage[]): Measured {
  return {
    slug: 'landing',
    title: 'How long an annotation takes to land',
    unit: 'ms',
    series: stages.flatMap(({ nodes, churn }): Series[] => [
      series(nodes, 'patch sent → another watcher knows', churn.toWatcherMs),
      series(nodes, 'patch sent → answered', churn.patchMs),
      series(nodes, 'pod sent → its agent knows', churn.toAgentMs),
    ]),
    plots: [overNodes(stages, 'log')],
    facts: {
      ...common(stages),
      ...byNodes(stages, 'pods started', ({ churn }) => `${churn.pods}, ${churn.perSecond} a second`),
      ...byNodes(stages, 'landed', ({ churn }) => churn.toWatcherMs.length),
      ...byNodes(stages, 'requests of the agents', ({ churn }) => listed(churn.requests)),
      ...byNodes(stages, 'failed patches', ({ churn }) => listed(churn.failed)),
    },
  };
}

export function fanOut(stages: readonly Stage[]): Measured {
  return {
    slug: 'fan-out',
    title: 'A Namespace changes: until an agent knows',
    unit: 'ms',
    series: stages.map(({ nodes, fanOutMs }) => series(nodes, 'an agent knows', fanOutMs.flat())),
    plots: [overNodes(stages, 'log')],
    facts: {
      ...common(stages),
      ...byNodes(stages, 'rounds', ({ fanOutMs }) => fanOutMs.length),
      ...byNodes(stages, 'agents that knew', ({ fanOutMs }) => fanOutMs.map(({ length }) => length).join(', ')),
    },
  };
}
