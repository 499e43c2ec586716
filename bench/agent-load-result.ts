import { type AgentSample, cpuPercent, slope } from './cluster/agent-sample.ts';
import type { Churned } from './cluster/churn.ts';
import type { Context } from './question.ts';
import type { Result, Series, Table } from './result.ts';

const WINDOWS = 10;
const PATCHES = 'patches per mesh pod';
const LATER = 'MiB per 1,000 churned pods, second half';

/** What a node's agent occupies. */
export interface NodeAgent {
  readonly rssMiB: number;
  readonly anonMiB: number;
  readonly workingSetMiB: number;
}

/** The agent with so many mesh pods on its node, nothing new among them. */
export interface Rest {
  readonly pods: number;
  readonly from: AgentSample;
  readonly to: AgentSample;
  /** A sample a second between. */
  readonly rssMiB: readonly number[];
  readonly memory: NodeAgent;
  readonly eventLoop: readonly string[];
  readonly requests: ReadonlyMap<string, number>;
  /** Pods that came since the level before: what `requests` are for. */
  readonly newPods: number;
}

export interface AgentLoad {
  readonly rests: readonly Rest[];
  readonly churned: Churned | undefined;
  /** Istio's own, at rest without pods; undefined if it was not installed for this. */
  readonly istioCni: NodeAgent | undefined;
}

export function agentResult(ctx: Context, { rests, churned, istioCni }: AgentLoad): Result {
  const resting = rests.map(({ pods, rssMiB }) => ({ name: `at rest, ${pods} pods`, values: rssMiB }));
  const churning = churned === undefined ? [] : windowsOf(churned);
  const growing = growth(churned);
  const perPod = requestsPerPod(rests);
  const most = resting.at(-1)?.name ?? '';
  return ctx.result({
    slug: 'agent',
    title: 'Memory of the agent',
    unit: 'MiB',
    series: [...resting, ...churning],
    facts: {
      'seconds at rest': rests.map(({ from, to }) => Math.round((to.atMs - from.atMs) / 1_000)).join(', '),
      'pods at rest': 'real ones: two containers without Envoy, captured as any mesh pod',
      RSS: 'with the pages of the program, which it shares with every process of the node that runs the same image',
      'working set': 'what the container is charged for, as kubectl top shows it and a limit counts it',
      churn: 'pods in the API and sandboxes in the runtime, real network namespaces, no kubelet and no containers',
      ...perPod,
      ...growing,
    },
    plots: [
      { kind: 'strip', axis: 'linear', only: resting.map(({ name }) => name), slug: 'rest' },
      { kind: 'lines', axis: 'linear', only: churning.map(({ name }) => name), slug: 'churn', xLabel: 'churned pods' },
    ],
    targets: [
      { what: `agent's memory, ${most}`, series: most, at: 'max', atMost: 80 },
      ...Object.keys(perPod).map((fact) => ({ what: fact, fact, atMost: fact === PATCHES ? 1 : 0 })),
      // Over fewer pods the heap has not even grown to what the work needs.
      ...((churned?.pods ?? 0) >= 5_000 && LATER in growing ? [{ what: LATER, fact: LATER, atMost: 0.2 }] : []),
    ],
    tables: [atRest(rests, istioCni), requestTable(rests, churned)],
  });
}

/** Samples of a tenth of the churn are one series, so that the page shows how they lie and not each of them. */
function windowsOf({ pods, samples }: Churned): readonly Series[] {
  return Array.from({ length: WINDOWS }, (_, index) => {
    const [from, to] = [index, index + 1].map((part) => Math.round((pods * part) / WINDOWS)) as [number, number];
    const own = samples.filter(({ done }) => done > from && done <= to);
    const values = own.map(({ rssMiB }) => rssMiB);
    return { name: `churned pods ${from + 1}–${to}`, values, at: { line: 'RSS', x: to } };
  });
}

function growth(churned: Churned | undefined): Readonly<Record<string, number>> {
  if (churned === undefined || churned.samples.length < 4) return {};
  const points = churned.samples.map(({ done, rssMiB }) => ({ x: done, y: rssMiB }));
  return {
    'churned pods': churned.pods,
    'churned pods a second': churned.pods / churned.seconds,
    'processor ms per churned pod': churned.cpuMsPerPod,
    'MiB per 1,000 churned pods': slope(points) * 1_000,
    [LATER]: slope(points.slice(Math.floor(points.length / 2))) * 1_000,
  };
}

/** Over all pods that came while the agent was looked at; its lists and watches of the beginning are not among them. */
function requestsPerPod(rests: readonly Rest[]): Readonly<Record<string, number>> {
  const pods = rests.reduce((sum, { newPods }) => sum + newPods, 0);
  if (pods === 0) return {};
  const sum = (wanted: (kind: string) => boolean) =>
    rests.flatMap(({ requests }) => [...requests]).reduce((all, [kind, times]) => all + (wanted(kind) ? times : 0), 0);
  return {
    [PATCHES]: sum((kind) => kind.startsWith('patch ')) / pods,
    'reads (get, list) per mesh pod': sum((kind) => /^(get|list) /.test(kind)) / pods,
  };
}

function atRest(rests: readonly Rest[], istioCni: NodeAgent | undefined): Table {
  const rows = rests.map(({ pods, from, to, memory, eventLoop }) => [
    `ours, ${pods}`,
    ...memoryCells(memory),
    cpuPercent(from, to).toFixed(2),
    eventLoop.length === 0
      ? 'no such metric yet'
      : eventLoop.map((line) => line.replace(/^\w*?event_?loop_?/, '')).join(', '),
  ]);
  const beside = istioCni === undefined ? [] : [['istio-cni, 0', ...memoryCells(istioCni), '', '']];
  return {
    title: 'At rest',
    columns: [
      'agent, mesh pods',
      'RSS MiB',
      'of it not of files',
      'working set MiB',
      'processor % of one',
      'event loop',
    ],
    rows: [...rows, ...beside],
  };
}

function memoryCells({ rssMiB, anonMiB, workingSetMiB }: NodeAgent): readonly string[] {
  return [rssMiB, anonMiB, workingSetMiB].map((mib) => mib.toFixed(1));
}

/** By the API server's own log. */
function requestTable(rests: readonly Rest[], churned: Churned | undefined): Table {
  const counted = [
    ...rests.map(({ pods, newPods, requests }) => ({ when: `to ${pods} pods`, newPods, requests })),
    ...(churned === undefined ? [] : [{ when: 'churn', newPods: churned.pods, requests: churned.requests }]),
  ];
  const rows = counted.flatMap(({ when, newPods, requests }) =>
    [...requests].map(([kind, times]) => {
      return [when, newPods, kind, times, newPods === 0 ? '' : (times / newPods).toFixed(3)];
    }),
  );
  return {
    title: "Requests of the agent, by the API server's log",
    columns: ['when', 'new pods', 'request', 'times', 'per pod'],
    rows,
  };
}
