import { expect, it } from 'vitest';
import type { Arrival } from './arrivals.ts';
import { resultsOf } from './results.ts';
import type { ServerSnapshot } from './snapshot.ts';
import type { Stage } from './stage.ts';

const empty: ServerSnapshot = {
  heapMiB: 100,
  stacksMiB: 10,
  goroutines: 500,
  watches: 50,
  rssMiB: 300,
  peakRssMiB: 350,
  cpuSeconds: 9,
};

function arrival(nodes: number, more: Partial<Arrival> = {}): Arrival {
  return {
    what: 'API server killed',
    nodes,
    settled: true,
    herd: {
      syncedMs: [500, 2_500],
      lost: 1,
      perSecond: [{ second: -1, requests: 3 }],
      peakPerSecond: 3,
      peakPerSlot: 2,
      requests: { 'watch pods 200': 3, 'watch pods error': 4, 'list pods 403': 2 },
      troubles: { 'pods: status 410': 1 },
    },
    pauseMs: 20_000,
    awayMs: 24_000,
    serverCpuSeconds: 1,
    agentsCpuSeconds: 2,
    receivedBytes: 2 ** 20,
    serverPeakRssMiB: 400,
    turnedAway: {},
    knewMs: [1_500],
    ...more,
  };
}

function stage(nodes: number): Stage {
  return {
    nodes,
    pods: nodes * 11,
    podBytes: 9_000,
    times: {},
    withoutAgents: empty,
    withAgents: { ...empty, heapMiB: 100 + nodes / 8, stacksMiB: 10 + nodes / 16 },
    arrivals: [arrival(nodes), arrival(nodes, { pauseMs: 0, what: 'first start', knewMs: [] })],
    idle: {
      seconds: 10,
      requests: { 'watch pods 200': 5 },
      receivedBytes: 1_000,
      sentBytes: 1,
      serverCpuSeconds: 0.5,
      agentsCpuSeconds: 1,
    },
    fanOutMs: [[1, 2], [3]],
    churn: {
      pods: 2,
      perSecond: 20,
      toAgentMs: [4, 5],
      patchMs: [2, 3],
      toWatcherMs: [3, 4],
      requests: { 'patch pods 200': 2 },
      failed: {},
      serverCpuSeconds: 1,
      agentReceivedBytes: 9,
    },
    comparison: {
      pods: 2,
      onePatchMs: [3],
      sixReadsMs: [9],
      serverCpuMsPerPatch: 2,
      policiesMsPerPatch: 1,
      serverCpuMsPerSixReads: 3,
      allPodsListMs: [2_000, 1_000],
      allPodsListBytes: 2 ** 20,
      allPodsListServerCpuSeconds: 0.5,
    },
    agentsRssMiB: 1,
    etcdRssMiB: 1,
  };
}

const results = resultsOf([stage(100), stage(200)]);
const result = (slug: string) => results.find((one) => one.slug === slug);

it('has a result for each thing that is measured, with names that make files', () => {
  expect(results.map(({ slug }) => slug)).toStrictEqual([
    'synced',
    'herd-load',
    'landing',
    'fan-out',
    'memory',
    'per-pod',
    'extrapolated',
  ]);
});

it('gives every series a name of its own, also where the same was done at several sizes', () => {
  for (const { series } of results) expect(new Set(series.map(({ name }) => name)).size).toBe(series.length);
});

it('puts the same thing at several sizes on one line, and tells outages by their length', () => {
  const at = result('synced')?.series.map((one) => one.at);

  expect(at).toStrictEqual(
    [100, 200].flatMap((x) => [
      { line: 'API server killed, 20 s later started again', x },
      { line: 'first start', x },
    ]),
  );
});

it("tells what was measured with other times than the product's", () => {
  const [one] = resultsOf([{ ...stage(100), times: { retryLongestMs: 5_000 } }]);

  expect(one?.series[1]?.name).toBe('100 nodes, first start, retryLongestMs 5000');
});

it('counts what did not succeed, and who is not back', () => {
  const table = result('synced')?.tables?.[0];
  const row = Object.fromEntries(table?.columns.map((column, index) => [column, table.rows[0]?.[index]]) ?? []);

  expect(row).toMatchObject({ nodes: 100, 'last back, s': 2.5, 'not back': 1, requests: 9, failed: 6 });
});

it('divides what the server holds more by the number of watches', () => {
  // 100 nodes: 12.5 MiB of heap and 6.25 MiB of stacks for 200 watches.
  expect(result('memory')?.series.map(({ values }) => values[0])).toStrictEqual([64, 32, 64, 32]);
});

it('computes what is reopened at rest from the length of a watch, and says so', () => {
  const table = result('memory')?.tables?.[0];
  const column = table?.columns.indexOf('watches reopened/s (computed)') ?? -1;

  expect(table?.rows.map((row) => row[column])).toStrictEqual([0.44, 0.89]);
});

it('draws a straight line to the largest cluster, and says that nobody measured there', () => {
  const extrapolated = result('extrapolated');
  const [table] = extrapolated?.tables ?? [];
  const heap = table?.rows.find(([what]) => what === 'kube-apiserver with all watches, heap that lives, MiB');

  expect(extrapolated?.title).toContain('not measured');
  // 100 MiB and an eighth for each node.
  expect(heap?.slice(1)).toStrictEqual([112.5, 125, 125, 725]);
});

it('shows the values themselves where there is one size', () => {
  const kinds = (sizes: readonly number[]) =>
    resultsOf(sizes.map(stage)).flatMap(({ plots = [] }) => plots.map(({ kind }) => kind));

  expect(new Set(kinds([100, 200]))).toStrictEqual(new Set(['lines', 'ecdf']));
  expect(new Set(kinds([100]))).toStrictEqual(new Set(['strip', 'ecdf']));
});

it('draws no line through one size, nor where a thing was measured once', () => {
  const [small, large] = [stage(100), { ...stage(200), arrivals: [] }];
  const named = resultsOf([small, large]).find(({ slug }) => slug === 'extrapolated');

  expect(resultsOf([small]).map(({ slug }) => slug)).not.toContain('extrapolated');
  expect(named?.tables?.[0]?.rows).toHaveLength(4);
});
