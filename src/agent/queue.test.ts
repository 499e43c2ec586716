import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createQueue } from './queue.ts';

interface Harness {
  readonly queue: ReturnType<typeof createQueue>;
  readonly started: string[];
  readonly open: Map<string, () => void>;
  readonly timers: { atMs: number; fire: () => void; cancelled: boolean }[];
}

/** A queue whose work ends when the test says so, and whose timers fire when the test says so. */
function harness(options: { readonly workers: number; readonly keysMax?: number }): Harness {
  const started: string[] = [];
  const open = new Map<string, () => void>();
  const timers: Harness['timers'] = [];
  const queue = createQueue({
    workers: options.workers,
    keysMax: options.keysMax ?? 100,
    nowMs: () => 0,
    startTimer: (delayMs, fire) => {
      const timer = { atMs: delayMs, fire, cancelled: false };
      timers.push(timer);
      return {
        cancel: () => {
          timer.cancelled = true;
        },
      };
    },
    work: (key) => {
      started.push(key);
      expect(open.has(key), `${key} is worked on twice at once`).toBe(false);
      return new Promise((resolve) => {
        open.set(key, () => {
          open.delete(key);
          resolve();
        });
      });
    },
  });
  return { queue, started, open, timers };
}

async function finish(h: Harness, key: string): Promise<void> {
  h.open.get(key)?.();
  await Promise.resolve();
  await Promise.resolve();
  await Promise.resolve();
}

describe('keyed queue', () => {
  it('works on a key added meanwhile exactly once more', async () => {
    const h = harness({ workers: 2 });
    h.queue.add('a');
    h.queue.add('a');
    h.queue.add('a');
    expect(h.started).toEqual(['a']);
    await finish(h, 'a');
    expect(h.started).toEqual(['a', 'a']);
    await finish(h, 'a');
    expect(h.started).toEqual(['a', 'a']);
    expect(h.queue.idle).toBe(true);
  });

  it('keeps to its number of workers and to the order of arrival', async () => {
    const h = harness({ workers: 2 });
    for (const key of ['a', 'b', 'c', 'd']) h.queue.add(key);
    expect(h.started).toEqual(['a', 'b']);
    await finish(h, 'b');
    expect(h.started).toEqual(['a', 'b', 'c']);
  });

  it('refuses a key when full, but never one that already waits', () => {
    const h = harness({ workers: 1, keysMax: 2 });
    expect(h.queue.add('working')).toBe(true);
    expect(h.queue.add('a')).toBe(true);
    expect(h.queue.add('b')).toBe(true);
    expect(h.queue.add('c')).toBe(false);
    expect(h.queue.add('a')).toBe(true);
    expect(h.queue.depth).toBe(2);
  });

  it('lets the shorter of two delays win, and a plain add beat both', () => {
    const h = harness({ workers: 1 });
    h.queue.addAfter('a', 1_000);
    h.queue.addAfter('a', 5_000);
    h.queue.addAfter('a', 100);
    expect(h.timers.map((timer) => [timer.atMs, timer.cancelled])).toEqual([
      [1_000, true],
      [100, false],
    ]);
    h.queue.add('a');
    expect(h.timers[1]?.cancelled).toBe(true);
    expect(h.started).toEqual(['a']);
  });

  it('drains: no new keys, delayed ones dropped, resolves when the work is done', async () => {
    const h = harness({ workers: 1 });
    h.queue.add('a');
    h.queue.add('b');
    h.queue.addAfter('c', 10);
    const drained = h.queue.drain();
    expect(h.queue.add('d')).toBe(false);
    await finish(h, 'a');
    await drained;
    expect(h.started).toEqual(['a']);
    expect(h.timers[0]?.cancelled).toBe(true);
  });

  it('never loses a key: after every add there is a start that began later', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean()), { maxLength: 60 }),
        async (script) => {
          const h = harness({ workers: 2 });
          const owed = new Set<string>();
          let seen = 0;
          const settle = () => {
            for (; seen < h.started.length; seen += 1) owed.delete(h.started[seen] ?? '');
          };
          for (const [key, end] of script) {
            if (end) await finish(h, key);
            else {
              settle();
              owed.add(key);
              h.queue.add(key);
            }
          }
          while (h.open.size > 0) for (const key of [...h.open.keys()]) await finish(h, key);
          settle();
          expect([...owed]).toEqual([]);
          expect(h.queue.idle).toBe(true);
        },
      ),
    );
  });
});
