import { readEscapes } from '../lab/guard.ts';
import { escapedOf } from '../test/support/cluster-host.ts';
import { handMadeGate } from '../test/support/cluster-pods.ts';
import { createNamespace, deleteNamespaces } from '../test/support/cluster.ts';
import { budgetMinutes, count } from './cluster/counts.ts';
import { measuringTime } from './cluster/measuring-time.ts';
import { createStage, type EnvironmentName, NO_CARRIER } from './cluster/environment.ts';
import { connectFirst, type FirstConnect } from './cluster/first-connect.ts';
import { startHogs } from './cluster/hogs.ts';
import { inParallel } from './cluster/in-parallel.ts';
import type { Context, Question } from './question.ts';
import type { Result } from './result.ts';

/**
 * Does the first connect of a pod's first container get past the proxy? Eight pods at a time beside programs that burn the processors.
 * Each pod dials an address of its own; the host's bridge, where nothing may arrive, is the witness. Pods that nothing captures come
 * first: a witness that does not see each of those has nothing to say about the others.
 */
const PODS = count('escapes');
/** Of the ways that promise nothing, or no more than another one. */
const OTHER_PODS = Math.min(PODS, count('escapes-others'));
const CONTROL_PODS = Math.min(PODS, 40);
const PARALLEL = 8;
const HOGS = 3;
const SAY_EVERY_PODS = 100;
const NAMESPACE = 'pnc-bench-escapes';

interface Way {
  readonly name: string;
  readonly environment: EnvironmentName;
  readonly gate: boolean;
}

/** No agent, no plugin, and none of Istio's init containers in these pods. */
const CONTROL = 'nothing captures (control)';
const WAYS: readonly Way[] = [
  { name: CONTROL, environment: 'istio-init', gate: false },
  { name: 'CRI, no gate', environment: 'CRI', gate: false },
  { name: 'CRI and gate', environment: 'CRI', gate: true },
  { name: 'NRI, no gate', environment: 'NRI', gate: false },
  { name: 'NRI and gate', environment: 'NRI', gate: true },
  { name: 'istio-cni', environment: 'istio-cni', gate: false },
];

/** In this order; Istio is installed anew for the last one only. */
const ENVIRONMENTS_IN_ORDER = [...new Set(WAYS.map(({ environment }) => environment))];

/** Without a gate, looking at the runtime cannot be in time; it is measured to show what the gate is for. */
const OURS_PROMISED = ['CRI and gate', 'NRI, no gate', 'NRI and gate'];
/** What each of our two means does by itself. */
const ONE_OF_ITS_KIND = ['CRI and gate', 'NRI, no gate'];

interface Tally {
  readonly name: string;
  readonly pods: number;
  /** Pods whose connect the bridge saw. */
  readonly escaped: number;
  readonly outcomes: Readonly<Record<FirstConnect['outcome'], number>>;
  readonly connectedMs: readonly number[];
  readonly podsPerSecond: number;
}

export const escapes: Question = {
  id: 'd',
  title: "Does a pod's first connect get past the proxy?",
  budgetMinutes: budgetMinutes({ usual: 6, full: 240 }),
  needs: 'lab',
  run: async (ctx) => [await measure(ctx)],
};

async function measure(ctx: Context): Promise<Result> {
  const stage = createStage(NO_CARRIER);
  const over = measuringTime(ctx, 'Istio, too');
  const tallies: Tally[] = [];
  await createNamespace(NAMESPACE);
  try {
    let gate: object | undefined;
    for (const environment of ENVIRONMENTS_IN_ORDER) {
      if (over.aborted) break;
      await stage.enter(environment);
      const ways = WAYS.filter((way) => way.environment === environment);
      // Its image is that of the agent, which is there by now.
      if (ways.some((way) => way.gate)) gate ??= await handMadeGate(['--timeout=300']);
      tallies.push(...(await tryWays(ways, { ctx, over, gate })));
    }
  } finally {
    await deleteNamespaces([NAMESPACE]);
    await stage.restore();
  }
  return resultOf(ctx, tallies);
}

/** The ways of one environment in turn, so that both see the same load. */
async function tryWays(
  ways: readonly Way[],
  { ctx, over, gate }: { readonly ctx: Context; readonly over: AbortSignal; readonly gate: object | undefined },
): Promise<readonly Tally[]> {
  const seen = new Map<string, FirstConnect[]>(ways.map(({ name }) => [name, []]));
  const most = Math.max(...ways.map(podsOf));
  const tasks = Array.from({ length: most }, (_, index) =>
    ways.filter(takesTurn(index, most)).map((way) => async () => {
      const inits = way.gate && gate !== undefined ? [gate] : [];
      const place = { namespace: NAMESPACE, address: addressOf(way, index) };
      const mine = seen.get(way.name);
      mine?.push(await connectFirst(place, { environment: way.environment, inits }));
      if (mine !== undefined && mine.length % SAY_EVERY_PODS === 0) ctx.say(`${way.name}: ${mine.length} pods`);
    }),
  ).flat();
  const before = await readEscapes();
  const endHogs = startHogs(HOGS);
  const beganMs = performance.now();
  try {
    await inParallel(tasks, { workers: PARALLEL, signal: over });
  } finally {
    endHogs();
  }
  const seconds = (performance.now() - beganMs) / 1_000;
  const measured = [...seen.values()].flat().length;
  const after = await readEscapes();
  return ways.map(({ name }) => {
    const all = seen.get(name) ?? [];
    const escaped = all.filter(({ address }) => escapedOf(after, address) > escapedOf(before, address));
    if (name === CONTROL && escaped.length < all.length) {
      throw new Error(`the witness saw ${escaped.length} of ${all.length} connects that nothing captured`);
    }
    const outcomes = { refused: 0, connected: 0, silent: 0, other: 0 };
    for (const { outcome } of all) outcomes[outcome] += 1;
    ctx.say(`${name}: ${escaped.length} of ${all.length} escaped; ${JSON.stringify(outcomes)}`);
    const podsPerSecond = measured / seconds;
    return {
      name,
      pods: all.length,
      escaped: escaped.length,
      outcomes,
      connectedMs: all.map((one) => one.startedMs),
      podsPerSecond,
    };
  });
}

function podsOf({ name }: Way): number {
  if (name === CONTROL) return CONTROL_PODS;
  return ONE_OF_ITS_KIND.includes(name) ? PODS : OTHER_PODS;
}

/** A way with fewer pods has them spread over the whole time. */
function takesTurn(index: number, most: number): (way: Way) => boolean {
  return (way) => Math.floor((index * podsOf(way)) / most) !== Math.floor(((index + 1) * podsOf(way)) / most);
}

/** One address and port a pod, in a documentation range: 203.0.113.1:10000 and so on. */
function addressOf(way: Way, index: number): string {
  return `203.0.113.${WAYS.indexOf(way) + 1}:${10_000 + index}`;
}

function escapedFact(name: string): string {
  return `escaped, ${name}`;
}

function resultOf(ctx: Context, tallies: readonly Tally[]): Result {
  return ctx.result({
    slug: 'escapes',
    title: 'Pod created → its first connect tried, eight pods at a time beside CPU hogs',
    unit: 'ms',
    series: tallies.map(({ name, connectedMs }) => ({ name, values: connectedMs })),
    facts: {
      'that nothing captures': `${CONTROL_PODS}; the witness must see all of them`,
      'pods at a time': PARALLEL,
      'CPU hogs': HOGS,
      pods: 'one application container that dials at once; the sidecar container stands in the pod but has no image, so it never starts',
      refused: 'redirected to the proxy port, where nothing listens: captured',
      ...Object.fromEntries(tallies.map(({ name, escaped }) => [escapedFact(name), escaped])),
      witness: "the bridge's counter of what left a pod, one destination a pod; IPv4",
    },
    targets: tallies
      .filter(({ name }) => OURS_PROMISED.includes(name))
      .map(({ name }) => ({ what: `first connects that escaped, ${name}`, fact: escapedFact(name), atMost: 0 })),
    tables: [
      {
        title: 'First connects that got past the proxy',
        columns: ['way', 'pods', 'escaped', 'refused', 'connected', 'silent', 'other', 'pods/s'],
        rows: tallies.map(({ name, pods, escaped, outcomes, podsPerSecond }) => [
          name,
          pods,
          escaped,
          outcomes.refused,
          outcomes.connected,
          outcomes.silent,
          outcomes.other,
          podsPerSecond.toFixed(2),
        ]),
      },
    ],
  });
}
