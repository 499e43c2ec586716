import { describe, expect, it } from 'vitest';
import { QUESTIONS } from './questions.ts';
import { QUESTION_IDS } from './result.ts';

/** Of 40: the rest is for the lab to come and go. */
const TOTAL_MINUTES_MAX = 37;

describe('the questions', () => {
  it('are asked in order, each once', () => {
    expect(QUESTIONS.map(({ id }) => id)).toEqual(QUESTION_IDS);
  });

  it('take no longer than somebody waits for', () => {
    const minutes = QUESTIONS.reduce((sum, { budgetMinutes }) => sum + budgetMinutes, 0);

    expect(minutes).toBeLessThanOrEqual(TOTAL_MINUTES_MAX);
  });
});
