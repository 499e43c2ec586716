import fc from 'fast-check';
import type { BackendName } from '../../src/backend/backend.ts';
import { type Case, caseArbitrary } from './case.ts';
import { ISTIO_MODES } from './istio.ts';
import { type Found, judged, type Judging, type Worlds } from './judged.ts';
import { emptyTally, type Tally } from './tally.ts';

export interface RunOptions {
  readonly policies: number;
  /** Per policy, on average. */
  readonly packets: number;
  /** How many of the policies Istio's tool is asked about, in each of its modes. */
  readonly istioPolicies: number;
  readonly seed: number;
  /** What writes our rules. */
  readonly backend: BackendName;
  /** Absolute; undefined: Istio is not asked. */
  readonly pilotAgent: string | undefined;
  readonly onProgress: (tally: Tally) => void;
}

export interface RunResult {
  readonly tally: Tally;
  readonly failures: readonly Failure[];
  readonly durationMs: number;
}

/** A disagreement, made as small as it gets. */
export interface Failure extends Found {
  /** Which case of the seed it was. */
  readonly index: number;
}

/** Each is shrunk, which takes some hundred cases. */
const FAILURES_MAX = 3;
const SHRINK_MS_MAX = 60_000;

/** Throws random packets at random policies, in the simulator, in the kernel under our rules, and in the kernel under Istio's. */
export function runDifferential(worlds: Worlds, options: RunOptions): RunResult {
  const startMs = performance.now();
  const tally = emptyTally();
  const failures: Failure[] = [];
  for (const [index, drawn] of drawCases(options).entries()) {
    if (failures.length >= FAILURES_MAX) break;
    const modes = index < options.istioPolicies && options.pilotAgent !== undefined ? ISTIO_MODES : [];
    const found = judged(worlds, drawn, { ...options, modes, tally });
    if (found !== undefined) failures.push(shrunk(worlds, { found, index, options }));
    options.onProgress(tally);
  }
  return { tally, failures, durationMs: performance.now() - startMs };
}

/** The same that fc.check draws for this seed, so that it can shrink one by its index. */
function drawCases({ packets, seed, policies }: RunOptions): readonly Case[] {
  const property = fc.property(caseArbitrary(packets), (_drawn: Case) => true);
  return fc.sample(property, { seed, numRuns: policies }).map(([drawn]) => drawn);
}

/** Draws the same case again, and looks for a smaller one about which the same judge disagrees. */
function shrunk(
  worlds: Worlds,
  task: { readonly found: Found; readonly index: number; readonly options: RunOptions },
): Failure {
  const { index, options } = task;
  const { judge } = task.found;
  let smallest = task.found;
  const judging: Judging = { ...options, modes: judge === 'kernel' ? [] : [judge], tally: undefined };
  const property = fc.property(caseArbitrary(options.packets), (drawn) => {
    const found = judged(worlds, drawn, judging);
    if (found?.judge !== judge) return true;
    smallest = found;
    return false;
  });
  fc.check(property, { seed: options.seed, path: String(index), numRuns: 1, interruptAfterTimeLimit: SHRINK_MS_MAX });
  return { ...smallest, index };
}
