import { Worker } from 'node:worker_threads';

/** Longer than anything that goes as it should. */
const PATIENCE_MS = 2_000;
const EVERY_MS = 5_000;

/**
 * Says on stderr, after some seconds and then again, that the work still goes on. The work blocks its thread, for it enters a netns:
 * so this one speaks from a thread of its own.
 */
export async function withProgress<T>(
  what: string,
  work: () => T,
  { patienceMs = PATIENCE_MS }: { readonly patienceMs?: number } = {},
): Promise<T> {
  const workerData = { what, patienceMs, everyMs: EVERY_MS };
  // Whatever Node was started with is not for the speaker, which is a script of its own.
  const worker = new Worker(SPEAKER, { eval: true, execArgv: [], workerData });
  try {
    return work();
  } finally {
    await worker.terminate();
  }
}

/** Writes to the descriptor itself: process.stderr of a thread goes through the main one, which is busy. */
const SPEAKER = `
const { writeSync } = require('node:fs');
const { workerData: { what, patienceMs, everyMs } } = require('node:worker_threads');
const startMs = performance.now();
const speak = () => {
  writeSync(2, what + ' (' + Math.round((performance.now() - startMs) / 1000) + ' s)\\n');
  setTimeout(speak, everyMs);
};
setTimeout(speak, patienceMs);
`;
