import type { Arrival } from './arrivals.ts';
import type { Measured } from '../question.ts';
import { common, listed, MIB, overNodes, round, sum } from './results-parts.ts';
import type { Stage } from './stage.ts';

export function synced(stages: readonly Stage[]): Measured {
  const arrivals = arrivalsOf(stages);
  const last = stages.at(-1)?.nodes;
  return {
    slug: 'synced',
    title: 'API server there, or started again → an agent has both of its watches open',
    unit: 's',
    series: arrivals.map((arrival) => ({
      name: nameOf(arrival),
      values: arrival.herd.syncedMs.map((ms) => ms / 1_000),
      at: { line: nameOfArrival(arrival), x: arrival.nodes },
    })),
    plots: [
      overNodes(stages, 'linear'),
      {
        kind: 'ecdf',
        axis: 'linear',
        slug: 'largest',
        only: arrivals.filter(({ nodes }) => nodes === last).map(nameOf),
      },
    ],
    tables: [
      {
        title: 'Everybody at once',
        columns: [
          'nodes',
          'what',
          'away, s',
          'last back, s',
          'not back',
          'requests',
          'peak, 1/s',
          'failed',
          'MiB to agents',
          'server CPU, s',
          'agents CPU, s',
          'server peak RSS, MiB',
        ],
        rows: arrivals.map((arrival) => [
          arrival.nodes,
          arrival.what,
          round(arrival.awayMs / 1_000),
          round(Math.max(...arrival.herd.syncedMs) / 1_000),
          arrival.herd.lost,
          sum(Object.values(arrival.herd.requests)),
          arrival.herd.peakPerSecond,
          sum(Object.entries(arrival.herd.requests).flatMap(([what, count]) => (what.endsWith(' 200') ? [] : [count]))),
          round(arrival.receivedBytes / MIB),
          round(arrival.serverCpuSeconds),
          round(arrival.agentsCpuSeconds),
          round(arrival.serverPeakRssMiB),
        ]),
      },
    ],
    facts: { ...common(stages), ...requestFacts(arrivals) },
  };
}

/** Requests that were answered, second by second. */
export function herdLoad(stages: readonly Stage[]): Measured {
  const arrivals = arrivalsOf(stages);
  return {
    slug: 'herd-load',
    title: 'Requests answered in each second while all agents come back',
    unit: '1/s',
    series: arrivals.map((arrival) => ({
      name: nameOf(arrival),
      values: arrival.herd.perSecond.map(({ requests }) => requests),
      note: `the first value is second ${arrival.herd.perSecond[0]?.second ?? 0}`,
      at: { line: nameOfArrival(arrival), x: arrival.nodes },
    })),
    facts: common(stages),
  };
}

function requestFacts(arrivals: readonly Arrival[]): Record<string, string> {
  return Object.fromEntries(
    arrivals.flatMap((arrival) => [
      [`${nameOf(arrival)}: requests`, listed(arrival.herd.requests)],
      [`${nameOf(arrival)}: interruptions`, listed(arrival.herd.troubles)],
      [`${nameOf(arrival)}: turned away by the server`, listed(arrival.turnedAway)],
      [
        `${nameOf(arrival)}: knew of a change`,
        arrival.knewMs.length === 0
          ? 'none was made'
          : `${arrival.knewMs.length} agents, the last after ${round(Math.max(...arrival.knewMs) / 1_000)} s`,
      ],
    ]),
  );
}

/** With other times than the product's it is another line. */
function arrivalsOf(stages: readonly Stage[]): Arrival[] {
  return stages.flatMap(({ arrivals, times }) => {
    const changed = Object.entries(times).map(([name, value]) => `, ${name} ${value}`);
    return arrivals.map((arrival) => ({ ...arrival, what: `${arrival.what}${changed.join('')}` }));
  });
}

function nameOf(arrival: Arrival): string {
  return `${arrival.nodes} nodes, ${nameOfArrival(arrival)}`;
}

/** How everybody came to come at once, whatever their number. */
export function nameOfArrival({ what, pauseMs }: Arrival): string {
  return pauseMs === 0 ? what : `${what}, ${pauseMs / 1_000} s later started again`;
}
