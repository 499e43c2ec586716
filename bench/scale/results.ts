import { herdLoad, synced } from './results-arrivals.ts';
import { fanOut, landing } from './results-changes.ts';
import { memory, perPod } from './results-costs.ts';
import { extrapolated } from './results-extrapolated.ts';
import type { Measured } from '../question.ts';
import type { Stage } from './stage.ts';

/** What is kept of the stages: one result per thing that is measured. Pure. */
export function resultsOf(stages: readonly Stage[]): Measured[] {
  return [
    synced(stages),
    herdLoad(stages),
    landing(stages),
    fanOut(stages),
    memory(stages),
    perPod(stages),
    ...extrapolated(stages),
  ];
}
