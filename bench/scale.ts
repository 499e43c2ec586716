import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { lab } from '../lab/paths.ts';
import { describeMachine } from './machine.ts';
import { DEFAULT_PLAN, measureScale, type ScalePlan } from './scale/measure.ts';
import { resultsOf } from './scale/results.ts';
import type { Stage } from './scale/stage.ts';

/**
 * What does a cluster full of agents cost its API server? A real etcd and kube-apiserver on loopback, and so many agents as they look from
 * there: the product's client, each with a token bound to a pod of its node. `--nodes 100,300,1000` grows one cluster and measures at each size.
 */
const { values: flags } = parseArgs({
  options: {
    nodes: { type: 'string', default: DEFAULT_PLAN.nodes.join(',') },
    pods: { type: 'string', default: String(DEFAULT_PLAN.podsPerNode) },
    namespaces: { type: 'string', default: String(DEFAULT_PLAN.namespaces) },
    processes: { type: 'string', default: String(DEFAULT_PLAN.processes) },
    idle: { type: 'string', default: String(DEFAULT_PLAN.idleSeconds) },
    churn: { type: 'string', default: String(DEFAULT_PLAN.churnPods) },
    rate: { type: 'string', default: String(DEFAULT_PLAN.churnPerSecond) },
    rounds: { type: 'string', default: String(DEFAULT_PLAN.fanOutRounds) },
    // Seconds for which a killed API server is left alone, one outage each.
    away: { type: 'string', default: DEFAULT_PLAN.pausesMs.map((ms) => ms / 1_000).join(',') },
    replacements: { type: 'string', default: String(DEFAULT_PLAN.replacements) },
    compared: { type: 'string', default: String(DEFAULT_PLAN.comparedPods) },
    // Of src/kube/list-watch-state.ts, as JSON: what would change with others.
    times: { type: 'string', default: '{}' },
    // Files of earlier runs: no run, but results of all their stages together.
    from: { type: 'string' },
    bin: { type: 'string' },
    out: { type: 'string', default: join(lab.directory, 'scale') },
  },
});
const numbers = (text: string) => text.split(',').filter(Boolean).map(Number);
const plan: ScalePlan = {
  nodes: numbers(flags.nodes),
  podsPerNode: Number(flags.pods),
  namespaces: Number(flags.namespaces),
  processes: Number(flags.processes),
  idleSeconds: Number(flags.idle),
  churnPods: Number(flags.churn),
  churnPerSecond: Number(flags.rate),
  fanOutRounds: Number(flags.rounds),
  pausesMs: numbers(flags.away).map((seconds) => seconds * 1_000),
  replacements: Number(flags.replacements),
  comparedPods: Number(flags.compared),
  times: JSON.parse(flags.times) as ScalePlan['times'],
};
const startMs = performance.now();
const startedAt = new Date().toISOString();
const stages: Stage[] = [];
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)));

if (flags.from === undefined) {
  const bin = flags.bin === undefined ? {} : { bin: flags.bin };
  try {
    await measureScale({ plan, say, signal: stop.signal, onStage: keep, ...bin });
  } catch (error: unknown) {
    if (!stop.signal.aborted) throw error;
    // The processes of agents end with this one.
    process.exit(1);
  }
} else collect(flags.from.split(','));
say(`results: ${flags.out}`);

/** After every stage: what was measured is kept, whatever happens to the next. The stages themselves are raw; other results can be made of them later. */
function keep(stage: Stage): void {
  stages.push(stage);
  mkdirSync(flags.out, { recursive: true });
  writeFileSync(join(flags.out, 'stages.json'), `${JSON.stringify({ startedAt, plan, stages })}\n`);
  for (const measured of resultsOf(stages)) {
    const result = { question: 'g', startedAt, machine: describeMachine(), ...measured };
    writeFileSync(join(flags.out, `g-${measured.slug}.json`), `${JSON.stringify(result, null, 1)}\n`);
  }
}

function collect(files: readonly string[]): void {
  const all = files.flatMap((file) => (JSON.parse(readFileSync(file, 'utf8')) as { readonly stages: Stage[] }).stages);
  for (const stage of all.toSorted((a, b) => a.nodes - b.nodes)) keep(stage);
}

function say(line: string): void {
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  process.stdout.write(`[${seconds.padStart(6)} s] ${line}\n`);
}
