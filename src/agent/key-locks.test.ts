import { describe, expect, it } from 'vitest';
import { createKeyLocks } from './key-locks.ts';

/** Work that ends when the test says so. */
function step(log: string[], name: string) {
  let end: (error?: Error) => void = () => undefined;
  const done = new Promise<void>((resolve, reject) => {
    end = (error) => (error === undefined ? resolve() : reject(error));
  });
  const work = () => {
    log.push(name);
    return done;
  };
  return { work, end };
}

describe('work on one key', () => {
  it('begins at once when there is none, and else when the one before has ended, failed or not', async () => {
    const locks = createKeyLocks();
    const log: string[] = [];
    const [first, second, third] = [step(log, 'first'), step(log, 'second'), step(log, 'third')];
    const firstEnds = locks.exclusively('a', first.work);
    const secondEnds = locks.exclusively('a', second.work);
    const thirdEnds = locks.exclusively('a', third.work);
    expect(log).toEqual(['first']);
    first.end(new Error('no'));
    await expect(firstEnds).rejects.toThrow('no');
    expect(log).toEqual(['first', 'second']);
    second.end();
    await secondEnds;
    expect(log).toEqual(['first', 'second', 'third']);
    third.end();
    await thirdEnds;
  });

  it('does not wait for that on another', () => {
    const locks = createKeyLocks();
    const log: string[] = [];
    void locks.exclusively('a', step(log, 'a').work);
    void locks.exclusively('b', step(log, 'b').work);
    expect(log).toEqual(['a', 'b']);
  });
});
