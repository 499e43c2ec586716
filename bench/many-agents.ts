import { freemem } from 'node:os';
import { budgetMinutes, count, isFull } from './cluster/counts.ts';
import type { Context, Question } from './question.ts';
import type { Result } from './result.ts';
import { DEFAULT_PLAN, measureScale, type ScalePlan } from './scale/measure.ts';
import { resultsOf } from './scale/results.ts';
import type { Stage } from './scale/stage.ts';

/**
 * As many agents as this machine carries against a real etcd and kube-apiserver of their own. One size with `make bench`; with BENCH_FULL
 * one cluster that grows, for the curve. `bench/scale.ts` is the same with any other plan.
 */
export const manyAgents: Question = {
  id: 'g',
  title: 'What does a cluster full of agents cost its API server?',
  budgetMinutes: budgetMinutes({ usual: 4, full: 60 }),
  needs: 'parts',
  run: measure,
};

const NODES_MAX = count('scale-nodes');
const SIZES = [300, 1_000, 2_000];
/** With 2,000 nodes: 1.4 of a kube-apiserver, 1 of all agents, 0.25 of etcd. While one API server takes over from another there are two. */
const MIB_PER_NODE = 4.5;
const MIB = 2 ** 20;
/** So that 1,000 nodes fit into four minutes; what is waited for is the same as in the whole plan. */
const SHORT: Partial<ScalePlan> = {
  idleSeconds: 10,
  churnPods: 100,
  fanOutRounds: 2,
  pausesMs: [5_000],
  comparedPods: 50,
};

async function measure(ctx: Context): Promise<readonly Result[]> {
  const nodes = sizesFor(freemem() / MIB);
  const plan = { ...DEFAULT_PLAN, ...(isFull ? {} : SHORT), nodes };
  const stages: Stage[] = [];
  try {
    await measureScale({ plan, say: ctx.say, signal: ctx.signal, onStage: (stage) => void stages.push(stage) });
  } catch (error: unknown) {
    // The sizes that there was time for count.
    if (!ctx.signal.aborted || stages.length === 0) throw error;
    ctx.say(`no time for more than ${stages.length} of ${nodes.length} sizes`);
  }
  return resultsOf(stages).map(ctx.result);
}

/** A machine that swaps measures its disk. */
function sizesFor(freeMiB: number): readonly number[] {
  const wanted = [...(isFull ? SIZES.filter((size) => size < NODES_MAX) : []), NODES_MAX];
  const carried = wanted.filter((size) => size * MIB_PER_NODE <= freeMiB);
  if (carried.length > 0) return carried;
  throw new Error(`${wanted[0]} agents need some ${Math.round((wanted[0] ?? 0) * MIB_PER_NODE)} MiB of memory`);
}
