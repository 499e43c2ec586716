import { setTimeout as delay } from 'node:timers/promises';
import { kubectl } from '../test/support/cluster.ts';
import { type Stopped, stoppedResult } from './agent-stopped-result.ts';
import { measureStopped, STOPPED_ENVIRONMENT } from './agent-stopped.ts';
import { call } from './cluster/api.ts';
import { budgetMinutes, count, isFull } from './cluster/counts.ts';
import { measuringTime } from './cluster/measuring-time.ts';
import { createStage, type EnvironmentName } from './cluster/environment.ts';
import {
  createStartNamespaces,
  createStartPod,
  deleteStartNamespaces,
  firstLineStartMs,
  namespaceOf,
  type PodKind,
  startOne,
} from './cluster/start-pods.ts';
import type { Context, Question } from './question.ts';
import type { Result } from './result.ts';

/**
 * Many mesh pods at once: when is the last one Ready, and how do unmeshed pods start meanwhile? The floor is in it as a storm of its own:
 * what so many Envoys cost this machine is not the capture's doing. And how do unmeshed pods start while the agent stands still?
 */
const PODS = count('storm');
const QUIET_PODS = count('storm-quiet');
const READY_TIMEOUT_MS = 420_000;
const LABEL = 'bench-storm';

interface Storm {
  readonly name: string;
  readonly kind: PodKind;
  readonly environment: EnvironmentName;
}

/** By environment; those without which the rest says nothing come before what takes long to install. */
const STORMS: readonly Storm[] = [
  { name: 'ours, NRI and gate', kind: 'mesh', environment: 'NRI' },
  { name: 'ours, gateless', kind: 'mesh', environment: 'gateless' },
  { name: 'ours, CRI and gate', kind: 'mesh', environment: 'CRI' },
  { name: 'floor', kind: 'floor', environment: 'istio-init' },
  { name: 'istio-init', kind: 'mesh', environment: 'istio-init' },
  { name: 'istio-cni', kind: 'mesh', environment: 'istio-cni' },
];

interface Weathered {
  readonly name: string;
  readonly startsMs: readonly number[];
  readonly unmeshedMs: readonly number[];
  readonly allReadyMs: number;
}

export const storm: Question = {
  id: 'c',
  title: 'How do many mesh pods at once start, and others beside them, or beside an agent that stands still?',
  budgetMinutes: budgetMinutes({ usual: 6, full: 60 }),
  needs: 'lab',
  run: measure,
};

async function measure(ctx: Context): Promise<readonly Result[]> {
  const stage = createStage();
  const over = measuringTime(ctx, isFull ? 'Istio, too' : 'the product');
  const quietMs: number[] = [];
  const weathered: Weathered[] = [];
  let stopped: Stopped | undefined;
  await createStartNamespaces();
  try {
    for (const one of stormsToWeather()) {
      if (over.aborted) break;
      await stage.enter(one.environment);
      if (quietMs.length === 0) quietMs.push(...(await quietStarts(one.environment)));
      if (one.environment === STOPPED_ENVIRONMENT) stopped = await measureStopped(ctx, over);
      const seen = await weather(one);
      weathered.push(seen);
      const seconds = (seen.allReadyMs / 1_000).toFixed(1);
      ctx.say(`${one.name}: ${PODS} pods Ready after ${seconds} s; ${seen.unmeshedMs.length} unmeshed ones meanwhile`);
    }
  } finally {
    await deleteStartNamespaces();
    await stage.restore();
  }
  const storms = resultOf(ctx, quietMs, weathered);
  return stopped === undefined ? [storms] : [storms, stoppedResult(ctx, stopped)];
}

/** All with BENCH_FULL. Else what fits: without Istio's plugin, which takes minutes to install and remove, and ours as it is by default. */
function stormsToWeather(): readonly Storm[] {
  return STORMS.filter(({ environment }) => isFull || environment === 'istio-init' || environment === 'NRI');
}

async function quietStarts(environment: EnvironmentName): Promise<readonly number[]> {
  const starts: number[] = [];
  for (let turn = 0; turn < QUIET_PODS; turn += 1) starts.push((await startOne('plain', environment)).startMs);
  return starts;
}

async function weather({ name, kind, environment }: Storm): Promise<Weathered> {
  const namespace = namespaceOf(kind, environment);
  const beganMs = performance.now();
  const labels = { [LABEL]: 'true' };
  // `echo` says at once that it listens, and then lives on, as a Ready pod does.
  const make = () => createStartPod({ kind, environment, args: ['echo'], labels });
  const pods = await Promise.all(Array.from({ length: PODS }, make));
  const over = new AbortController();
  const unmeshed = startsUntil(over.signal, environment);
  const timeout = `--timeout=${READY_TIMEOUT_MS / 1_000}s`;
  const wait = ['wait', '-n', namespace, '--for=condition=Ready', timeout, 'pod', '-l', LABEL];
  const ready = kubectl(wait, { timeoutMs: READY_TIMEOUT_MS + 10_000 })
    .then(() => performance.now() - beganMs)
    .finally(() => over.abort());
  const [allReadyMs, unmeshedMs] = await Promise.all([ready, unmeshed]);
  const startsMs = await Promise.all(pods.map((pod) => firstLineStartMs(pod, 10_000)));
  await endAll(namespace);
  return { name, startsMs, unmeshedMs, allReadyMs };
}

/**
 * One unmeshed pod after another; one that began in the storm counts. There are few, for some take as long as the storm; but many at a fixed
 * pace are a storm of their own: one every 5 s made it half as long again.
 */
async function startsUntil(over: AbortSignal, environment: EnvironmentName): Promise<readonly number[]> {
  const starts: number[] = [];
  while (!over.aborted) starts.push((await startOne('plain', environment)).startMs);
  return starts;
}

async function endAll(namespace: string): Promise<void> {
  const selector = `labelSelector=${LABEL}`;
  await call({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}/pods?${selector}` });
  await kubectl(['wait', '-n', namespace, '--for=delete', '--timeout=180s', 'pod', '-l', LABEL], {
    timeoutMs: 190_000,
  });
  // Kubelet and the runtime clean up behind the API object.
  await delay(3_000);
}

function resultOf(ctx: Context, quietMs: readonly number[], weathered: readonly Weathered[]): Result {
  const quiet = 'unmeshed, quiet';
  return ctx.result({
    slug: 'storm',
    title: `${PODS} pods at once, created → first line of the application; unmeshed ones meanwhile`,
    unit: 'ms',
    series: [
      { name: quiet, values: quietMs },
      ...weathered.flatMap(({ name, startsMs, unmeshedMs }) => [
        { name, values: startsMs },
        { name: `unmeshed, while ${name}`, values: unmeshedMs },
      ]),
    ],
    facts: {
      'pods at once': PODS,
      'unmeshed pods': 'one after another, from the request to the first instruction; quiet: before the first storm',
      ...(isFull ? {} : { 'left out': 'istio-cni, ours without NRI and ours without a gate: with BENCH_FULL=1' }),
      'first line': "the runtime's clock when it took the line; under load some ms later than it was written",
    },
    ratios: weathered.map(({ name }) => ({
      label: `unmeshed while ${name} over quiet`,
      of: `unmeshed, while ${name}`,
      over: quiet,
    })),
    tables: [
      {
        title: `From the first request until all ${PODS} are Ready`,
        columns: ['pods', 'all Ready after s', 'unmeshed pods started meanwhile'],
        rows: weathered.map((one) => [one.name, (one.allReadyMs / 1_000).toFixed(1), one.unmeshedMs.length]),
      },
    ],
  });
}
