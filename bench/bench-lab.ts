import { processesOfLab } from '../lab/cgroup.ts';
import { recordedDaemons, runningDaemon } from '../lab/daemon.ts';
import { readOwner } from '../lab/owner.ts';
import { checkout } from '../lab/paths.ts';

/** The lab for those questions that need one: one that runs is used and left; else it is brought up as `make test` does, and goes again. */
export interface BenchLab {
  /** Tries once; true if questions can be asked. */
  up(): Promise<boolean>;
  /** Takes down what `up` made, also what it made half; nothing else. */
  down(): Promise<void>;
}

export interface BenchLabOptions {
  /** Runs a script of this checkout with Node; true if it succeeded. */
  readonly run: (name: string, argv: readonly string[]) => Promise<boolean>;
  /** The same, but nobody who wants to end us can end it. */
  readonly finish: BenchLabOptions['run'];
  readonly state: () => LabState;
}

/** Of this checkout's lab: whole, not all of it or nothing. */
export type LabState = 'runs' | 'partly' | 'none';

export function createBenchLab({ run, finish, state }: BenchLabOptions): BenchLab {
  let usable: Promise<boolean> | undefined;
  let mine = false;

  async function down(): Promise<void> {
    if (!mine) return;
    mine = false;
    // Half-made, or refused because of another checkout's: then there may be nothing of ours.
    if (state() !== 'none') await finish('lab down', ['lab/main.ts', 'down']);
  }

  async function bringUp(): Promise<boolean> {
    const before = state();
    if (before === 'runs') return true;
    // What somebody began is completed, and stays theirs.
    mine = before === 'none';
    if ((await run('build', ['scripts/build.ts'])) && (await run('lab up', ['scripts/test-lab.ts']))) return true;
    await down();
    return false;
  }

  return { up: () => (usable ??= bringUp()), down };
}

export function labState(): LabState {
  if (readOwner()?.checkout !== checkout || processesOfLab().length === 0) return 'none';
  return recordedDaemons().every((name) => runningDaemon(name) !== undefined) ? 'runs' : 'partly';
}
