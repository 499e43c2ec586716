import type { Machine } from './machine.ts';
import type { QuestionId, Result } from './result.ts';

/** One of `make bench`'s questions: what it needs, how long it may take, and how it is measured. */
export interface Question {
  readonly id: QuestionId;
  readonly title: string;
  /** When it is over, `ctx.signal` aborts; a minute later the question is ended and what it measured is lost. */
  readonly budgetMinutes: number;
  /** `netns`: root and nft. `lab`: the lab is up, with the product in it. `parts`: the lab's programs, built; it need not run. */
  readonly needs: 'netns' | 'lab' | 'parts';
  readonly run: (ctx: Context) => Promise<readonly Result[]>;
}

export interface Context {
  readonly machine: Machine;
  /** A line of progress. */
  readonly say: (line: string) => void;
  /** Fills in what every measurement of this run has in common. */
  readonly result: (measured: Measured) => Result;
  /** Of the budget; never below 0. */
  readonly leftMs: () => number;
  /** Aborts when the budget is over, or when somebody ends the run. */
  readonly signal: AbortSignal;
}

export type Measured = Omit<Result, 'question' | 'startedAt' | 'machine'>;
