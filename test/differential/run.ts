import fc from 'fast-check';
import { buildRuleset } from '../../src/ruleset/build.ts';
import { type Case, caseArbitrary, trialOf } from './arbitraries.ts';
import { fly } from './engine.ts';
import { type Inputs, policyOf } from './inputs.ts';
import { ISTIO_MODES, IstioFailed, type IstioMode, istioProgrammer } from './istio.ts';
import { type Circumstances, type Disagreement, judgeIstio, judgeSimulator } from './judge.ts';
import { KNOWN_FAILURES } from './known-differences.ts';
import type { ProxyOf } from './listeners.ts';
import { ourProgrammer } from './ours.ts';
import { settingsOf } from './settings.ts';
import { countsFor, emptyTally, type IstioCounts, type Tally } from './tally.ts';
import type { Sighting, Trial } from './trial.ts';
import type { World } from './world.ts';

export interface RunOptions {
  readonly policies: number;
  /** Per policy, on average. */
  readonly packets: number;
  /** How many of the policies Istio's tool is asked about, in each of its modes. */
  readonly istioPolicies: number;
  readonly seed: number;
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
export interface Failure {
  readonly judge: 'kernel' | IstioMode;
  readonly inputs: Inputs;
  readonly proxyAway: boolean;
  readonly disagreement: Disagreement;
  /** Which case of the seed it was. */
  readonly index: number;
}

/** Each is shrunk, which takes some hundred cases. */
const FAILURES_MAX = 3;
const SHRINK_MS_MAX = 60_000;

/** Throws random packets at random policies, in the simulator, in the kernel under our rules, and in the kernel under Istio's. */
export function runDifferential(
  worlds: { readonly ours: World; readonly istio: World },
  options: RunOptions,
): RunResult {
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

type Found = Omit<Failure, 'index'>;

interface Judging {
  readonly modes: readonly IstioMode[];
  readonly pilotAgent: string | undefined;
  /** Undefined while a case is being shrunk. */
  readonly tally: Tally | undefined;
}

/** The first disagreement about a case. */
function judged(
  worlds: { readonly ours: World; readonly istio: World },
  { inputs, proxyAway, picks }: Case,
  { modes, pilotAgent, tally }: Judging,
): Found | undefined {
  const trials = picks.flatMap((pick) => trialOf(inputs, pick) ?? []);
  const ruleset = buildRuleset(policyOf(inputs));
  const proxy = { ...proxyOf(inputs), away: proxyAway };
  const ours = fly(worlds.ours, { proxy, trials, programmer: ourProgrammer(worlds.ours, ruleset) });
  const context = { inputs, ruleset, proxyAway };
  const disagreements = pairs(trials, ours).flatMap(([trial, seen]) => judgeSimulator(context, trial, seen) ?? []);
  const counts = tally === undefined ? [] : countsFor(tally, settingsOf(inputs, { proxyAway }));
  for (const { kernel } of counts) {
    kernel.policies += 1;
    kernel.packets += trials.length;
    kernel.mismatches += disagreements.length;
  }
  let found = firstOf('kernel', context, disagreements);
  for (const mode of modes) {
    const at = { ...context, mode };
    const flight = { world: worlds.istio, pilotAgent: pilotAgent ?? '', proxy, trials };
    const unexplained = judgedByIstio(at, { ...flight, ours }, { tally, counts: counts.map((one) => one[mode]) });
    found ??= firstOf(mode, context, unexplained);
  }
  return found;
}

/** Sends the same packets through Istio's rules; what is treated otherwise, without being known to be. */
function judgedByIstio(
  at: Circumstances & { readonly mode: IstioMode },
  flight: {
    readonly world: World;
    readonly pilotAgent: string;
    readonly proxy: ProxyOf;
    readonly trials: readonly Trial[];
    readonly ours: readonly Sighting[];
  },
  { tally, counts }: { readonly tally: Tally | undefined; readonly counts: readonly IstioCounts[] },
): readonly Disagreement[] {
  const { world, pilotAgent, proxy, trials, ours } = flight;
  const istio = flownByIstio(() =>
    fly(world, { proxy, trials, programmer: istioProgrammer(world, { ...at, pilotAgent }) }),
  );
  for (const one of counts) one.policies += 1;
  if (istio instanceof IstioFailed) {
    const known = KNOWN_FAILURES.find(({ explains }) => explains(at));
    for (const one of counts) one[known === undefined ? 'unexplained' : 'failed'] += 1;
    noteExplanations(tally, [known?.title]);
    const [trial] = trials;
    if (known !== undefined || trial === undefined) return [];
    return [{ trial, expected: istio.message, found: 'rules', met: [] }];
  }
  const differences = pairs(trials, ours).flatMap(([trial, seen], index) => {
    const other = istio[index];
    return other === undefined ? [] : (judgeIstio(at, trial, { ours: seen, istio: other }) ?? []);
  });
  const unexplained = differences.filter(({ explanation }) => explanation === undefined);
  for (const one of counts) {
    one.packets += trials.length;
    one.explained += differences.length - unexplained.length;
    one.unexplained += unexplained.length;
  }
  noteExplanations(
    tally,
    differences.map(({ explanation }) => explanation),
  );
  return unexplained;
}

function flownByIstio(work: () => readonly Sighting[]): readonly Sighting[] | IstioFailed {
  try {
    return work();
  } catch (error: unknown) {
    if (error instanceof IstioFailed) return error;
    throw error;
  }
}

function noteExplanations(tally: Tally | undefined, titles: readonly (string | undefined)[]): void {
  for (const title of titles) {
    if (title !== undefined) tally?.explanations.set(title, (tally.explanations.get(title) ?? 0) + 1);
  }
}

function firstOf(
  judge: Failure['judge'],
  { inputs, proxyAway }: Circumstances,
  [disagreement]: readonly Disagreement[],
): Found | undefined {
  return disagreement === undefined ? undefined : { judge, inputs, proxyAway, disagreement };
}

/** Draws the same case again, and looks for a smaller one about which the same judge disagrees. */
function shrunk(
  worlds: { readonly ours: World; readonly istio: World },
  task: { readonly found: Found; readonly index: number; readonly options: RunOptions },
): Failure {
  const { index, options } = task;
  const { judge } = task.found;
  let smallest = task.found;
  const judging = { modes: judge === 'kernel' ? [] : [judge], pilotAgent: options.pilotAgent, tally: undefined };
  const property = fc.property(caseArbitrary(options.packets), (drawn) => {
    const found = judged(worlds, drawn, judging);
    if (found?.judge !== judge) return true;
    smallest = found;
    return false;
  });
  fc.check(property, { seed: options.seed, path: String(index), numRuns: 1, interruptAfterTimeLimit: SHRINK_MS_MAX });
  return { ...smallest, index };
}

function proxyOf({ outboundPort, inboundPort, uids, gids }: Inputs) {
  const [[uid], [gid]] = [uids, gids];
  if (uid === undefined || gid === undefined) throw new Error('inputs need a uid and a gid');
  return { outboundPort, inboundPort, uid, gid };
}

function pairs(trials: readonly Trial[], sightings: readonly Sighting[]): readonly (readonly [Trial, Sighting])[] {
  return trials.flatMap((trial, index) => {
    const sighting = sightings[index];
    return sighting === undefined ? [] : [[trial, sighting] as const];
  });
}
