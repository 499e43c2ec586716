/** Delay before the next try of one pod: 100 ms doubling to 30 s, with half of it random, so that pods of one cause do not retry in step. */
export function backOffMs(attempt: number, random: () => number): number {
  const ceilingMs = Math.min(FIRST_MS * 2 ** Math.min(attempt, DOUBLINGS_MAX), LONGEST_MS);
  return ceilingMs / 2 + (ceilingMs / 2) * random();
}

const FIRST_MS = 100;
const LONGEST_MS = 30_000;
const DOUBLINGS_MAX = 16;
