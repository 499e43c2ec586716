import type { AnnotationReading } from './annotation-file.ts';
import type { GateOptions } from './gate-options.ts';
import { createNarrator } from './narrate.ts';
import { type MarkReading, type Missing, needsAnnotation, needsMark, whatIsMissing } from './observation.ts';

/**
 * sysfs tells nobody that an alias changed, so it is read again and again; half of this is the mean delay that the gate adds to a pod's
 * start. A look costs about 0.3 ms of CPU.
 */
export const MARK_POLL_MS = 20;
/** Many pods may wait on a node whose agent is away, and after this long a tenth of a second does not matter to any of them. */
export const HURRY_FOR_MS = 30_000;
export const PATIENT_POLL_MS = 100;

/** What the wait needs of the world; tests hand in their own clock. */
export interface GateEffects {
  /** Monotonic. */
  nowMs(): number;
  /** Resolves after `ms`, or earlier when `wake` is called. */
  sleep(ms: number): Promise<void>;
  wake(): void;
  readMark(): MarkReading;
  readAnnotation(): AnnotationReading;
  /** Calls back when the folder of the annotation file changes, as far as the kernel tells. Returns what ends it. */
  watch(onChange: () => void): () => void;
  isStopped(): boolean;
  print(line: string): void;
}

export type GateOutcome =
  | { readonly kind: 'passed'; readonly policyHash: string | undefined }
  | { readonly kind: 'timedOut'; readonly missing: readonly Missing[] }
  | { readonly kind: 'stopped' };

/** Waits until everything the mode asks for holds in one and the same look, the time is up, or it is told to stop. */
export async function waitForGate(options: GateOptions, effects: GateEffects): Promise<GateOutcome> {
  const narrator = createNarrator();
  const startedMs = effects.nowMs();
  let changed = true;
  // Before the first look: a change in between must not go unnoticed.
  const unwatch = needsAnnotation(options)
    ? effects.watch(() => {
        changed = true;
        effects.wake();
      })
    : undefined;
  let annotation: AnnotationReading | undefined;
  let annotationDueMs = 0;
  try {
    while (!effects.isStopped()) {
      const elapsedMs = effects.nowMs() - startedMs;
      if (needsAnnotation(options) && (changed || elapsedMs >= annotationDueMs)) {
        changed = false;
        annotation = effects.readAnnotation();
        annotationDueMs = elapsedMs + options.delayMs;
      }
      const mark = needsMark(options) ? effects.readMark() : undefined;
      const missing = whatIsMissing({ mark, annotation }, options);
      if (missing.length === 0)
        return { kind: 'passed', policyHash: mark?.kind === 'ready' ? mark.policyHash : undefined };
      if (elapsedMs >= options.timeoutMs) return { kind: 'timedOut', missing };
      for (const line of narrator.lines(missing, elapsedMs)) effects.print(line);
      const pollMs = elapsedMs < HURRY_FOR_MS ? MARK_POLL_MS : PATIENT_POLL_MS;
      const pauseMs = needsMark(options) ? pollMs : annotationDueMs - elapsedMs;
      await effects.sleep(Math.min(pauseMs, options.timeoutMs - elapsedMs));
    }
    return { kind: 'stopped' };
  } finally {
    unwatch?.();
  }
}
