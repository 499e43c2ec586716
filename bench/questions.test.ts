import { describe, expect, it } from 'vitest';
import { QUESTIONS } from './questions.ts';

const TOTAL_MINUTES_MAX = 40;

describe('the questions', () => {
  it('are asked in order, each once', () => {
    const ids = QUESTIONS.map(({ id }) => id);

    expect(ids).toEqual([...new Set(ids)].toSorted());
  });

  it('take no longer than somebody waits for', () => {
    const minutes = QUESTIONS.reduce((sum, { budgetMinutes }) => sum + budgetMinutes, 0);

    expect(minutes).toBeLessThanOrEqual(TOTAL_MINUTES_MAX);
  });
});
