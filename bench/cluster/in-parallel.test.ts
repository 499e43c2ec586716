import { describe, expect, it } from 'vitest';
import { inParallel } from './in-parallel.ts';

const forever = new AbortController().signal;

describe('tasks in parallel', () => {
  it('are all done, never more at a time than there are workers', async () => {
    const seen = { now: 0, most: 0, done: 0 };
    const task = async () => {
      seen.now += 1;
      seen.most = Math.max(seen.most, seen.now);
      await Promise.resolve();
      seen.now -= 1;
      seen.done += 1;
    };
    await inParallel(
      Array.from({ length: 20 }, () => task),
      { workers: 3, signal: forever },
    );
    expect(seen).toEqual({ now: 0, most: 3, done: 20 });
  });

  it('end with the first failure, which is thrown', async () => {
    let begun = 0;
    const tasks = Array.from({ length: 20 }, (_, index) => async () => {
      begun += 1;
      await Promise.resolve();
      if (index === 1) throw new Error('the second one');
    });
    await expect(inParallel(tasks, { workers: 2, signal: forever })).rejects.toThrow('the second one');
    expect(begun).toBeLessThan(5);
  });

  it('do not begin any more once it is over', async () => {
    const over = new AbortController();
    let begun = 0;
    const task = async () => {
      begun += 1;
      over.abort();
    };
    await inParallel([task, task, task], { workers: 1, signal: over.signal });
    expect(begun).toBe(1);
  });
});
