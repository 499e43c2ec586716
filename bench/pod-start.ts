import { setTimeout as delay } from 'node:timers/promises';
import { budgetMinutes, count } from './cluster/counts.ts';
import { measuringTime } from './cluster/measuring-time.ts';
import { createStage, type EnvironmentName } from './cluster/environment.ts';
import { createStartNamespaces, deleteStartNamespaces, startOne } from './cluster/start-pods.ts';
import type { Context, Question } from './question.ts';
import { captureName, captureResult, isOurs, kindsIn, nameOf, type Samples, startResult } from './pod-start-result.ts';
import type { Result } from './result.ts';
import { spread } from './spread.ts';

/**
 * How long does a pod take from its creation to the application's first instruction, by what captures it? One pod after another: in each
 * environment no mesh, floor and mesh in turn, so that a machine that slows down slows all of them. Environments in blocks, forth and back,
 * because Istio has to be installed anew between two of them.
 */
const ROUNDS = count('start-rounds');
const PODS = count('start-pods');
/** genericPlegRelistPeriod of kubelet (pkg/kubelet/kubelet.go). */
const KUBELET_LOOKS_EVERY_MS = 1_000;
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;
const BLOCKS: readonly EnvironmentName[] = ['istio-init', 'CRI', 'NRI', 'gateless', 'istio-cni'];

export const podStart: Question = {
  id: 'b',
  title: 'How long does a pod take to start?',
  budgetMinutes: budgetMinutes({ usual: 10, full: 120 }),
  needs: 'lab',
  run: measure,
};

async function measure(ctx: Context): Promise<readonly Result[]> {
  const samples: Samples = new Map(BLOCKS.flatMap((block) => kindsIn(block).map((kind) => [nameOf(kind, block), []])));
  const captures: Samples = new Map(BLOCKS.filter(isOurs).map((block) => [captureName(block), []]));
  const stage = createStage();
  const over = measuringTime(ctx, 'Istio, too');
  await createStartNamespaces();
  try {
    for (let round = 0; round < ROUNDS && !over.aborted; round += 1) {
      for (const block of round % 2 === 0 ? BLOCKS : BLOCKS.toReversed()) {
        if (over.aborted) break;
        await stage.enter(block);
        await measureBlock(block, { firstTurn: round * PODS, samples, captures, over });
        ctx.say(`${progress(block, samples)} ms at p50 so far`);
      }
    }
  } finally {
    await deleteStartNamespaces();
    await stage.restore();
  }
  const facts = { rounds: ROUNDS, 'pods of a kind in a block': PODS };
  // The time may have been over before the last block.
  const measured = BLOCKS.filter((block) => samples.get(nameOf('mesh', block))?.length !== 0);
  return [startResult(ctx, { blocks: measured, samples, facts }), captureResult(ctx, captures)];
}

async function measureBlock(
  block: EnvironmentName,
  {
    firstTurn,
    samples,
    captures,
    over,
  }: {
    readonly firstTurn: number;
    readonly samples: Samples;
    readonly captures: Samples;
    readonly over: AbortSignal;
  },
): Promise<void> {
  // Whatever is loaded or connected at first use.
  await startOne('mesh', block);
  for (let turn = 0; turn < PODS && !over.aborted; turn += 1) {
    for (const kind of rotated(kindsIn(block), turn)) {
      await delay(phaseMs(firstTurn + turn));
      const { startMs, captureMs } = await startOne(kind, block);
      samples.get(nameOf(kind, block))?.push(startMs);
      if (captureMs !== undefined) captures.get(captureName(block))?.push(captureMs);
    }
  }
}

/**
 * Kubelet looks once a second at what has ended, and a pod that is removed is gone with one of these looks: without a pause each pod would
 * begin at the same moment between two of them. All of a turn wait for the same part of a second; the turns' parts lie as evenly as can be.
 */
function phaseMs(turn: number): number {
  return ((turn * GOLDEN_RATIO) % 1) * KUBELET_LOOKS_EVERY_MS;
}

function progress(block: EnvironmentName, samples: Samples): string {
  const medians = kindsIn(block).map((kind) => {
    const name = nameOf(kind, block);
    return `${name} ${spread(samples.get(name) ?? []).p50.toFixed(0)}`;
  });
  return medians.join(' · ');
}

/** Nobody always comes after the same one. */
function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const from = by % list.length;
  return [...list.slice(from), ...list.slice(0, from)];
}
