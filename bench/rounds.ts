import { setTimeout as delay } from 'node:timers/promises';
import { cpuTimeMs } from './cpu-time.ts';
import { createPodNetns, type PodNetns } from './pod-netns.ts';
import type { Context } from './question.ts';

/** One of several things that are measured in turn, each in netns of its own that are there before it begins. */
export interface Step {
  readonly netnses: number;
  readonly work: (fresh: readonly PodNetns[]) => void | Promise<void>;
}

/** What was measured, by the name of a way. */
export interface Sample {
  readonly ms: number[];
  readonly cpuMs: number[];
}

/** What the last round left is taken apart meanwhile. */
const SETTLE_MS = 300;
/** For cleaning up, and for one more round. */
const RESERVE_MS = 10_000;

/** Every step once a round, each round another one first; returns how many rounds there was time for. */
export async function inRounds(ctx: Context, steps: readonly Step[], roundsMax: number): Promise<number> {
  for (let round = 0; round < roundsMax; round += 1) {
    if (ctx.leftMs() < RESERVE_MS || ctx.signal.aborted) return round;
    if (round % 10 === 0) ctx.say(`round ${round} of ${roundsMax}`);
    const first = round % steps.length;
    await oneRound([...steps.slice(first), ...steps.slice(0, first)]);
  }
  return roundsMax;
}

export function measureInto<T>({ ms, cpuMs }: Sample, work: () => T): T {
  const cpuBeforeMs = cpuTimeMs();
  const startMs = performance.now();
  const result = work();
  ms.push(performance.now() - startMs);
  cpuMs.push(cpuTimeMs() - cpuBeforeMs);
  return result;
}

/** All netns are made before, and go after: the kernel takes one apart in the background, with a lock that others wait for. */
async function oneRound(steps: readonly Step[]): Promise<void> {
  const made: PodNetns[] = [];
  try {
    const prepared = steps.map(({ netnses, work }) => {
      const fresh: PodNetns[] = [];
      for (let count = 0; count < netnses; count += 1) {
        const netns = createPodNetns();
        made.push(netns);
        fresh.push(netns);
      }
      return () => work(fresh);
    });
    await delay(SETTLE_MS);
    for (const step of prepared) await step();
  } finally {
    for (const netns of made) netns.remove();
  }
}
