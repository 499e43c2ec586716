import { captureNetns } from '../src/agent/capture-netns.ts';
import type { NetnsEffects } from '../src/agent/netns-effects.ts';
import { renderNft } from '../src/backend/nft/render.ts';
import { CIDRS_MAX } from '../src/capture/cidr.ts';
import type { Cidr } from '../src/capture/policy.ts';
import { openNetns } from '../src/netns/netns.ts';
import { buildRuleset } from '../src/ruleset/build.ts';
import { planProbes } from '../src/ruleset/probe-plan.ts';
import { PLAIN, policyOf } from '../test/differential/inputs.ts';
import { type Dialed, openDialer } from './connect-rate.ts';
import { createPodNetns, inFreshNetns, type PodNetns } from './pod-netns.ts';
import type { Context } from './question.ts';
import type { Ratio, Result, Series, Target } from './result.ts';
import { istioWays } from './spawned-ways.ts';

/**
 * Excluded ranges: what do they cost when the rules are written, and what does each connection pay that none of them lets go? Ours and
 * Istio's two ways, each number of ranges in a netns of its own; connections in all of them in turn.
 */
const COUNTS = [0, 100, 1_000, 10_000] as const;
const APPLIES = 3;
const ROUNDS = 40;
const DIAL_MS = 80;
const WARM_UP_MS = 300;

interface Cell {
  readonly line: string;
  readonly count: number;
  readonly bring: (netns: PodNetns) => void;
}

interface Measured {
  readonly applyMs: number[];
  readonly dialed: Dialed[];
}

export async function measureExclusions(
  ctx: Context,
  given: { readonly effects: NetnsEffects; readonly pilotAgent: string | undefined; readonly untilLeftMs: number },
): Promise<readonly Result[]> {
  const cells = COUNTS.flatMap((count) => cellsOf(count, given));
  const measured = new Map(cells.map((cell): [Cell, Measured] => [cell, { applyMs: [], dialed: [] }]));
  for (let turn = 0; turn < APPLIES; turn += 1) {
    ctx.say(`excluded ranges: written ${turn} of ${APPLIES} times`);
    for (const [cell, { applyMs }] of measured) inFreshNetns((netns) => applyMs.push(timed(() => cell.bring(netns))));
  }
  await dialAll(ctx, measured, given.untilLeftMs);
  const dialed = [...measured.values()].flatMap((one) => one.dialed);
  const facts = {
    ranges: 'single IPv4 addresses, every other one, so that no two of them join',
    'ranges that the product takes from a pod at most (the longest list here went past its parser)': CIDRS_MAX,
    'connects that did not arrive': dialed.reduce((sum, { lost }) => sum + lost, 0),
    'connects in all': dialed.reduce((sum, { connects }) => sum + connects, 0),
    'milliseconds a turn': DIAL_MS,
  };
  return [
    ctx.result({
      ...linesOf(measured, ({ dialed: all }) => all.map(({ cpuMs, connects }) => (1_000 * cpuMs) / connects)),
      slug: 'connect-cpu',
      title: 'CPU time of one captured connection, by excluded ranges',
      unit: 'µs',
      ratios: ratiosOf(measured),
      targets: targetsOf(),
      facts,
    }),
    ctx.result({
      ...linesOf(measured, ({ dialed: all }) => all.map(({ connects, tookMs }) => (1_000 * connects) / tookMs)),
      slug: 'connect-rate',
      title: 'Captured connections a second on one core, by excluded ranges',
      unit: '1/s',
      facts,
    }),
    ctx.result({
      ...linesOf(measured, ({ applyMs }) => applyMs),
      slug: 'apply-exclusions',
      title: 'Rules into one fresh netns, by excluded ranges',
      unit: 'ms',
      tables: [sizes()],
      facts: { ours: 'rules, read back, proof and mark', 'Istio’s': 'the tool, rules alone' },
    }),
  ];
}

async function dialAll(ctx: Context, measured: ReadonlyMap<Cell, Measured>, untilLeftMs: number): Promise<void> {
  const open: { readonly close: () => void }[] = [];
  try {
    const steps = [...measured].map(([cell, { dialed }]) => {
      const fresh = createPodNetns();
      open.push({ close: fresh.remove });
      cell.bring(fresh);
      const netns = openNetns(fresh.path);
      open.push(netns);
      const dialer = openDialer(netns, fresh);
      open.push(dialer);
      dialer.dial(WARM_UP_MS);
      return () => dialed.push(dialer.dial(DIAL_MS));
    });
    for (let round = 0; round < ROUNDS && ctx.leftMs() > untilLeftMs && !ctx.signal.aborted; round += 1) {
      if (round % 10 === 0) ctx.say(`connections: round ${round} of ${ROUNDS}`);
      const first = round % steps.length;
      for (const step of [...steps.slice(first), ...steps.slice(0, first)]) {
        step();
        // Nothing here waits: signals would never be heard.
        await new Promise(setImmediate);
      }
    }
  } finally {
    for (const { close } of open.toReversed()) close();
  }
}

function cellsOf(
  count: number,
  { effects, pilotAgent }: { readonly effects: NetnsEffects; readonly pilotAgent: string | undefined },
): readonly Cell[] {
  const desired = desiredWith(count);
  const ours: Cell = {
    line: 'ours',
    count,
    bring: ({ path }) => void captureNetns({ netnsPath: path, podIPs: [], ...desired }, effects),
  };
  if (pilotAgent === undefined) return [ours];
  const istio = istioWays(pilotAgent, {
    ...PLAIN,
    excludeOutboundRanges: addresses(count).map((address) => `${address}/32`),
  });
  return [
    ours,
    { line: 'Istio, iptables', count, bring: istio.iptables.run },
    { line: 'Istio, nftables', count, bring: istio.nft.run },
  ];
}

/** Past the parser, which would refuse the longest list. */
function desiredWith(count: number) {
  const plain = policyOf(PLAIN);
  const value = addresses(count).map((address): Cidr => ({ family: 4, address, prefix: 32 }));
  const policy = { ...plain, excludeOutboundRanges: { ...plain.excludeOutboundRanges, value } };
  return { ruleset: buildRuleset(policy), probes: planProbes(policy) };
}

/**
 * No two of them join. As short as can be: Linux takes no argument above 128 KiB, and Istio's tool takes all of its ranges in one; 10,000
 * of any other kind could not be given to it. Nobody has an address in 0.0.0.0/8.
 */
function addresses(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => {
    const [second, third, fourth] = [1 + Math.floor(index / 5_000), Math.floor(index / 50) % 100, (index % 50) * 2];
    return `0.${second}.${third}.${fourth}`;
  });
}

const nameOf = ({ line, count }: Pick<Cell, 'line' | 'count'>): string =>
  `${line}, ${count.toLocaleString('en')} ranges`;

function linesOf(measured: ReadonlyMap<Cell, Measured>, valuesOf: (one: Measured) => readonly number[]) {
  const series = [...measured]
    .map(
      ([{ line, count }, one]): Series => ({
        name: nameOf({ line, count }),
        values: valuesOf(one),
        at: { line, x: count },
      }),
    )
    .toSorted((a, b) => (a.at?.line ?? '').localeCompare(b.at?.line ?? '') * -1);
  return { series, plots: [{ kind: 'lines', axis: 'log', xLabel: 'excluded ranges' } as const] };
}

const [, , THOUSAND, MOST] = COUNTS;

/** What each line pays at its end, and ours at the place of our target, over none at all. */
function ratiosOf(measured: ReadonlyMap<Cell, Measured>): readonly Ratio[] {
  const lines = [...new Set([...measured.keys()].map(({ line }) => line))];
  return [{ line: 'ours', count: THOUSAND }, ...lines.map((line) => ({ line, count: MOST }))].map(
    ({ line, count }) => ({
      label: `${nameOf({ line, count })}, over none`,
      of: nameOf({ line, count }),
      over: nameOf({ line, count: 0 }),
    }),
  );
}

function targetsOf(): readonly Target[] {
  const ratio = `${nameOf({ line: 'ours', count: THOUSAND })}, over none`;
  return [{ what: 'CPU time of a connection with 1,000 excluded ranges over none', ratio, atMost: 1.05 }];
}

function sizes(): NonNullable<Result['tables']>[number] {
  return {
    title: 'Our transaction',
    columns: ['excluded ranges', 'rules', 'bytes'],
    rows: COUNTS.map((count) => {
      const { ruleset } = desiredWith(count);
      const rules = ruleset.chains.reduce((sum, chain) => sum + chain.rules.length, 0);
      return [count.toLocaleString('en'), rules, Buffer.byteLength(renderNft(ruleset))];
    }),
  };
}

function timed(work: () => unknown): number {
  const startMs = performance.now();
  work();
  return performance.now() - startMs;
}
