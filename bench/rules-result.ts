import type { CaptureOutcome } from '../src/agent/capture-netns.ts';
import type { Measured } from './question.ts';
import type { Result, Series, Table } from './result.ts';
import type { Sample } from './rounds.ts';
import type { SpawnedWay } from './spawned-ways.ts';
import { spread } from './spread.ts';

export const [PACED, BURST] = ['ours, one at a time', 'ours, back to back'] as const;
const TRANSACTION = 'ours, back to back: the transaction alone';
const STAGES = ['enter', 'apply', 'readBack', 'probe', 'mark', 'total'] as const;

interface Seen {
  readonly samples: ReadonlyMap<string, Sample>;
  readonly spawned: readonly SpawnedWay[];
  /** Of those back to back. */
  readonly outcomes: readonly CaptureOutcome[];
  readonly facts: Result['facts'];
}

/** What question (a) has to say, without who measured it and when. Pure. */
export function describeRules({ samples, spawned, outcomes, facts }: Seen): Measured {
  const valuesOf = (name: string): readonly number[] => samples.get(name)?.ms ?? [];
  const best = spawned
    .filter(({ floor }) => !floor)
    .map(({ name }) => name)
    .toSorted((a, b) => spread(valuesOf(a)).p50 - spread(valuesOf(b)).p50)[0];
  if (best === undefined) throw new Error('nothing to compare with');
  const series: readonly Series[] = [
    { name: PACED, values: valuesOf(PACED), note: 'rules, read back, proof, mark; after a pause' },
    { name: BURST, values: valuesOf(BURST), note: 'rules, read back, proof, mark' },
    { name: TRANSACTION, values: outcomes.map(({ timingsMs }) => timingsMs.apply), note: 'of the same captures' },
    ...spawned.map(({ name, note, processes }) => ({
      name,
      values: valuesOf(name),
      note: `${note}; processes started: ${processes}`,
    })),
  ];
  const ratios = [BURST, PACED, TRANSACTION].map((ours) => ({
    label: `best spawned way (${best}) over ${ours}`,
    of: best,
    over: ours,
  }));
  return {
    slug: 'rules-into-netns',
    title: 'Rules into one fresh netns',
    unit: 'ms',
    series,
    ratios,
    targets: [
      {
        what: 'rules into one netns, back to back, proof and mark included, p50',
        series: BURST,
        at: 'p50',
        atMost: 1,
      },
      {
        what: 'best spawned way over ours, back to back, which also proves',
        ratio: ratios[0]?.label ?? '',
        atLeast: 30,
      },
      {
        what: 'best spawned way over our transaction, neither with a proof',
        ratio: ratios[2]?.label ?? '',
        atLeast: 30,
      },
    ],
    tables: [stagesTable(outcomes), cpuTable(samples)],
    facts: {
      ...facts,
      proof: 'what each way wrote was proven once, by our live connects, before it was timed',
      'spawned from': 'inside the netns, without nsenter: a millisecond or two in their favour',
    },
  };
}

function stagesTable(outcomes: readonly CaptureOutcome[]): Table {
  return {
    title: 'Where ours spends its time, back to back, p50, ms',
    columns: ['', ...STAGES],
    rows: [['p50', ...STAGES.map((stage) => spread(outcomes.map(({ timingsMs }) => timingsMs[stage])).p50)]],
  };
}

function cpuTable(samples: ReadonlyMap<string, Sample>): Table {
  return {
    title: 'CPU time of one run, of this process and of all that it starts, mean, ms',
    columns: ['', 'CPU time'],
    rows: [...samples].map(([name, { cpuMs }]) => [name, cpuMs.reduce((sum, one) => sum + one, 0) / cpuMs.length]),
  };
}
