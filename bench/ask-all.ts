import type { BenchLab } from './bench-lab.ts';
import type { Question } from './question.ts';
import type { QuestionId } from './result.ts';

export interface Asking {
  /** True if there is a new answer. */
  readonly ask: (question: Question) => Promise<boolean>;
  readonly lab: BenchLab;
  /** No question is asked any more once it aborts. */
  readonly signal: AbortSignal;
}

/**
 * Asks in order; returns what has no new answer. The lab is there from the first question that needs it to the last one, whatever becomes
 * of them: what is measured before and after has the machine to itself.
 */
export async function askAll(questions: readonly Question[], { ask, lab, signal }: Asking): Promise<QuestionId[]> {
  const unanswered = new Set(questions.map(({ id }) => id));
  const lastOnLab = questions.findLast(({ needs }) => needs === 'lab');
  try {
    for (const question of questions) {
      if (signal.aborted) break;
      const possible = question.needs !== 'lab' || (await lab.up());
      if (possible && !signal.aborted && (await ask(question))) unanswered.delete(question.id);
      if (question === lastOnLab) await lab.down();
    }
  } finally {
    await lab.down();
  }
  return [...unanswered];
}
