import { describe, expect, it } from 'vitest';
import { askAll } from './ask-all.ts';
import { createBenchLab, type LabState } from './bench-lab.ts';
import type { Question } from './question.ts';
import { QUESTION_IDS } from './result.ts';

interface Given {
  readonly needs: readonly Question['needs'][];
  /** Of questions (by id) and of steps (by name). */
  readonly failing?: readonly string[];
  readonly lab?: LabState;
  /** Somebody ends the run while this one is at work. */
  readonly endedIn?: string;
}

/** What was done, in order. */
async function done({ needs, failing = [], lab: before = 'none', endedIn }: Given) {
  const seen: string[] = [];
  const stop = new AbortController();
  let lab: LabState = before;
  const work = async (name: string): Promise<boolean> => {
    seen.push(name);
    if (name === endedIn) stop.abort();
    return name !== endedIn && !failing.includes(name);
  };
  const run = async (name: string): Promise<boolean> => {
    if (stop.signal.aborted) return false;
    const ok = await work(name);
    if (name === 'lab up') lab = ok ? 'runs' : 'partly';
    return ok;
  };
  const finish = async (name: string): Promise<boolean> => {
    lab = 'none';
    return work(name);
  };
  const questions = needs.map(
    (need, index): Question => ({
      id: QUESTION_IDS[index] ?? 'g',
      title: '',
      budgetMinutes: 1,
      needs: need,
      run: () => Promise.resolve([]),
    }),
  );
  const unanswered = await askAll(questions, {
    ask: ({ id }) => work(id),
    lab: createBenchLab({ run, finish, state: () => lab }),
    signal: stop.signal,
  });
  return { seen, unanswered };
}

describe('questions on a machine without a lab', () => {
  it('have one from the first that needs it to the last', async () => {
    const { seen, unanswered } = await done({ needs: ['netns', 'lab', 'lab', 'parts'] });

    expect(seen).toEqual(['a', 'build', 'lab up', 'b', 'c', 'lab down', 'd']);
    expect(unanswered).toEqual([]);
  });

  it('build none if nobody needs it', async () => {
    expect((await done({ needs: ['netns', 'parts'] })).seen).toEqual(['a', 'b']);
  });

  it('go on after one that failed, and the lab goes all the same', async () => {
    const { seen, unanswered } = await done({ needs: ['lab', 'lab'], failing: ['a', 'b'] });

    expect(seen).toEqual(['build', 'lab up', 'a', 'b', 'lab down']);
    expect(unanswered).toEqual(['a', 'b']);
  });

  it('are not asked of a lab that does not start, of which nothing stays', async () => {
    const { seen, unanswered } = await done({ needs: ['lab', 'lab', 'netns'], failing: ['lab up'] });

    expect(seen).toEqual(['build', 'lab up', 'lab down', 'c']);
    expect(unanswered).toEqual(['a', 'b']);
  });

  it('leave nothing to take down where nothing was begun', async () => {
    expect((await done({ needs: ['lab'], failing: ['build'] })).seen).toEqual(['build']);
  });
});

describe('somebody who ends the run', () => {
  it('in a question ends all of them, and the lab goes', async () => {
    const { seen, unanswered } = await done({ needs: ['lab', 'lab', 'netns'], endedIn: 'a' });

    expect(seen).toEqual(['build', 'lab up', 'a', 'lab down']);
    expect(unanswered).toEqual(['a', 'b', 'c']);
  });

  it('while the lab comes up has nothing left of it', async () => {
    expect((await done({ needs: ['lab', 'netns'], endedIn: 'lab up' })).seen).toEqual(['build', 'lab up', 'lab down']);
  });
});

describe('a lab that was there', () => {
  it('is used and left', async () => {
    expect((await done({ needs: ['lab', 'netns'], lab: 'runs' })).seen).toEqual(['a', 'b']);
  });

  it('but not whole is completed and left', async () => {
    expect((await done({ needs: ['lab'], lab: 'partly' })).seen).toEqual(['build', 'lab up', 'a']);
  });
});
