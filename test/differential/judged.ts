import type { BackendName } from '../../src/backend/backend.ts';
import { buildRuleset } from '../../src/ruleset/build.ts';
import type { Case } from './case.ts';
import { fly } from './engine.ts';
import { type Inputs, policyOf } from './inputs.ts';
import { IstioFailed, type IstioMode, istioProgrammer } from './istio.ts';
import { type Disagreement, judgeIstio, judgeSimulator } from './judge.ts';
import { KNOWN_FAILURES } from './known-differences.ts';
import type { ProxyOf } from './listeners.ts';
import { ourProgrammer } from './ours.ts';
import { settingsOf } from './settings.ts';
import { countsFor, type IstioCounts, type Tally } from './tally.ts';
import { trialOf } from './trial-of.ts';
import type { Circumstances, Sighting, Trial } from './trial.ts';
import type { World } from './world.ts';

/** One disagreement, and all it takes to see it again. */
export interface Found {
  readonly judge: 'kernel' | IstioMode;
  readonly inputs: Inputs;
  readonly proxyAway: boolean;
  readonly disagreement: Disagreement;
}

export interface Worlds {
  readonly ours: World;
  readonly istio: World;
}

export interface Judging {
  /** What writes our rules. */
  readonly backend: BackendName;
  /** In which modes Istio's tool is asked, too. */
  readonly modes: readonly IstioMode[];
  /** Absolute; needed where modes are. */
  readonly pilotAgent: string | undefined;
  /** Undefined while a case is being shrunk. */
  readonly tally: Tally | undefined;
}

/** The first disagreement about a case. */
export function judged(
  worlds: Worlds,
  { inputs, proxyAway, picks }: Case,
  { backend, modes, pilotAgent, tally }: Judging,
): Found | undefined {
  const trials = picks.flatMap((pick) => trialOf(inputs, pick) ?? []);
  const ruleset = buildRuleset(policyOf(inputs));
  const proxy = { ...proxyOf(inputs), away: proxyAway };
  const context = { inputs, ruleset, proxyAway };
  const programmer = ourProgrammer(worlds.ours, ruleset, backend);
  const { sightings: ours, wrong: disagreements } = looked(worlds.ours, (world) => {
    const sightings = fly(world, { proxy, trials, programmer });
    const wrong = pairs(trials, sightings).flatMap(([trial, seen]) => judgeSimulator(context, trial, seen) ?? []);
    return { sightings, wrong };
  });
  const counts = tally === undefined ? [] : countsFor(tally, settingsOf(inputs, { proxyAway }));
  for (const { kernel } of counts) {
    kernel.policies += 1;
    kernel.packets += trials.length;
    kernel.mismatches += disagreements.length;
  }
  let found = firstFound('kernel', context, disagreements);
  for (const mode of modes) {
    const at = { ...context, mode };
    const flight = { world: worlds.istio, pilotAgent: pilotAgent ?? '', proxy, trials };
    const unexplained = judgedByIstio(at, { ...flight, ours }, { tally, counts: counts.map((one) => one[mode]) });
    found ??= firstFound(mode, context, unexplained);
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
  const programmer = istioProgrammer(world, { ...at, pilotAgent });
  const outcome = flownByIstio(() =>
    looked(world, (here) => {
      const sightings = fly(here, { proxy, trials, programmer });
      const differences = pairs(trials, ours).flatMap(([trial, seen], index) => {
        const other = sightings[index];
        return other === undefined ? [] : (judgeIstio(at, trial, { ours: seen, istio: other }) ?? []);
      });
      return { differences, wrong: differences.filter(({ explanation }) => explanation === undefined) };
    }),
  );
  for (const one of counts) one.policies += 1;
  if (outcome instanceof IstioFailed) return judgedFailure(at, outcome, { trials, tally, counts });
  const { differences, wrong: unexplained } = outcome;
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

/** Istio's tool gave up; unexplained, unless it is known to. */
function judgedFailure(
  at: Circumstances & { readonly mode: IstioMode },
  { message }: IstioFailed,
  task: {
    readonly trials: readonly Trial[];
    readonly tally: Tally | undefined;
    readonly counts: readonly IstioCounts[];
  },
): readonly Disagreement[] {
  const known = KNOWN_FAILURES.find(({ explains }) => explains(at));
  for (const one of task.counts) one[known === undefined ? 'unexplained' : 'failed'] += 1;
  noteExplanations(task.tally, [known?.title]);
  if (known !== undefined) return [];
  return task.trials.slice(0, 1).map((trial) => ({ trial, expected: message, found: 'rules', met: [] }));
}

function flownByIstio<T>(work: () => T): T | IstioFailed {
  try {
    return work();
  } catch (error: unknown) {
    if (error instanceof IstioFailed) return error;
    throw error;
  }
}

/** On a machine under load, packets may come later than they are waited for. Whatever looks wrong is looked at again, with more patience. */
function looked<T extends { readonly wrong: readonly Disagreement[] }>(world: World, look: (world: World) => T): T {
  const first = look(world);
  return first.wrong.length === 0 ? first : look({ ...world, silenceMs: PATIENCE_MS });
}

const PATIENCE_MS = 400;

function noteExplanations(tally: Tally | undefined, titles: readonly (string | undefined)[]): void {
  for (const title of titles) {
    if (title !== undefined) tally?.explanations.set(title, (tally.explanations.get(title) ?? 0) + 1);
  }
}

function firstFound(
  judge: Found['judge'],
  { inputs, proxyAway }: Circumstances,
  [disagreement]: readonly Disagreement[],
): Found | undefined {
  return disagreement === undefined ? undefined : { judge, inputs, proxyAway, disagreement };
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
