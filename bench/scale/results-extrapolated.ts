import { slope } from '../cluster/agent-sample.ts';
import type { Measured } from '../question.ts';
import { nameOfArrival } from './results-arrivals.ts';
import { common, LARGEST_CLUSTER, round } from './results-parts.ts';
import type { Stage } from './stage.ts';

interface Quantity {
  readonly what: string;
  /** Undefined where it was not measured. */
  readonly of: (stage: Stage) => number | undefined;
}

const COSTS: readonly Quantity[] = [
  { what: 'kube-apiserver with all watches, RSS, MiB', of: ({ withAgents }) => withAgents.rssMiB },
  { what: 'kube-apiserver with all watches, heap that lives, MiB', of: ({ withAgents }) => withAgents.heapMiB },
  {
    what: 'kube-apiserver while nobody does anything, % of a core',
    of: ({ idle }) => (idle.serverCpuSeconds / idle.seconds) * 100,
  },
  {
    what: 'a Namespace changes: the last agent knows, ms',
    of: ({ fanOutMs }) => (fanOutMs.flat().length === 0 ? undefined : Math.max(...fanOutMs.flat())),
  },
];

/** What a straight line through the measured sizes says of the largest cluster. Nothing of one size: no line goes through a single point. */
export function extrapolated(stages: readonly Stage[]): Measured[] {
  const sizes = [...new Set(stages.map(({ nodes }) => nodes))];
  if (sizes.length < 2) return [];
  const rows = [...COSTS, ...arrivalCosts(stages)].flatMap(({ what, of }) => {
    const values = stages.map(of);
    const points = stages.flatMap(({ nodes }, index) => {
      const y = values[index];
      return y === undefined ? [] : [{ x: nodes, y }];
    });
    if (points.length < 2) return [];
    const rise = slope(points);
    const mean = (part: 'x' | 'y') => points.reduce((sum, point) => sum + point[part], 0) / points.length;
    const largest = mean('y') + rise * (LARGEST_CLUSTER - mean('x'));
    const seen = values.map((value) => (value === undefined ? '–' : round(value)));
    return [[what, ...seen, round(rise * 1_000), round(largest)]];
  });
  const largest = LARGEST_CLUSTER.toLocaleString('en');
  return [
    {
      slug: 'extrapolated',
      title: `Towards ${largest} nodes: extrapolated, not measured`,
      unit: '',
      series: [],
      tables: [
        {
          title: `Straight lines through the measured sizes (least squares). A herd grows faster than that once a core is full: read the last column as a lower bound`,
          columns: [
            'what',
            ...stages.map(({ nodes }) => `${nodes} nodes`),
            '1,000 nodes more',
            `${largest} nodes, extrapolated`,
          ],
          rows,
        },
      ],
      facts: common(stages),
    },
  ];
}

/** Of each way in which everybody comes at once. */
function arrivalCosts(stages: readonly Stage[]): readonly Quantity[] {
  const names = new Set(stages.flatMap(({ arrivals }) => arrivals.map(nameOfArrival)));
  return [...names].flatMap((name): Quantity[] => {
    const one = ({ arrivals }: Stage) => arrivals.find((arrival) => nameOfArrival(arrival) === name);
    return [
      { what: `${name}: server CPU, s`, of: (stage) => one(stage)?.serverCpuSeconds },
      {
        what: `${name}: the last agent is back, s`,
        of: (stage) => {
          const arrival = one(stage);
          return arrival === undefined ? undefined : Math.max(...arrival.herd.syncedMs) / 1_000;
        },
      },
    ];
  });
}
