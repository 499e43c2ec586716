import { describe, expect, it } from 'vitest';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { createSandboxWatch, FAST_LOOK_MS } from './sandbox-watch.ts';

function sandbox(id: string, podUid: string): Sandbox {
  return { id, podUid, podName: podUid, podNamespace: 'default', attempt: 0, ready: true, createdAtNs: 0n };
}

/** A watch whose sleeps end one by one: `look()` lets it look once and tells how long it would have slept before the next look. */
function harness() {
  let ready: readonly Sandbox[] | Error = [];
  let nowMs = 0;
  let hooked = false;
  let lists = 0;
  const woken: string[] = [];
  const warnings: string[] = [];
  const stop = new AbortController();
  let wakeUp: () => void = () => undefined;
  let slept: (ms: number) => void = () => undefined;
  let sleeping = new Promise<number>((resolve) => {
    slept = resolve;
  });
  const quiet = () => undefined;
  const watch = createSandboxWatch({
    runtime: {
      listReady: () => {
        lists += 1;
        return ready instanceof Error ? Promise.reject(ready) : Promise.resolve(ready);
      },
    },
    wake: (key) => woken.push(key),
    log: { debug: quiet, info: quiet, warn: (message) => warnings.push(message), error: quiet },
    hooked: () => hooked,
    nowMs: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        wakeUp = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
        slept(ms);
      }),
  });
  const running = watch.run(stop.signal);
  return {
    watch,
    woken,
    warnings,
    set: (next: readonly Sandbox[] | Error) => {
      ready = next;
    },
    at: (ms: number) => {
      nowMs = ms;
    },
    hook: (is: boolean) => {
      hooked = is;
    },
    lists: () => lists,
    /** Ends the current sleep, waits for the look and the next sleep; returns the next sleep's length. */
    look: async () => {
      await sleeping;
      sleeping = new Promise((resolve) => {
        slept = resolve;
      });
      wakeUp();
      return sleeping;
    },
    sleepMs: () => sleeping,
    end: async () => {
      stop.abort();
      await running;
    },
  };
}

describe('sandbox watch', () => {
  it('does not ask the runtime while nobody waits and nothing is guarded', async () => {
    const h = harness();
    await h.look();
    expect(h.lists()).toBe(0);
    await h.end();
  });

  it('wakes a waiting pod once, as soon as its sandbox is ready', async () => {
    const h = harness();
    h.watch.expect('default/a', 'uid-1');
    h.set([sandbox('s2', 'uid-2')]);
    expect(await h.look()).toBe(FAST_LOOK_MS);
    expect(h.woken).toEqual([]);
    h.set([sandbox('s1', 'uid-1')]);
    await h.look();
    await h.look();
    expect(h.woken).toEqual(['default/a']);
    await h.end();
  });

  it('slows down for a pod that waits long, and does not hurry at all for guards', async () => {
    const h = harness();
    h.watch.guard('default/z', 'uid-9', 's9');
    h.set([sandbox('s9', 'uid-9')]);
    const idle = await h.look();
    h.watch.expect('default/a', 'uid-1');
    await h.sleepMs();
    const fast = await h.look();
    h.at(60_000);
    const patient = await h.look();
    expect(fast).toBe(FAST_LOOK_MS);
    expect(patient).toBeGreaterThan(fast);
    expect(idle).toBeGreaterThan(patient);
    await h.end();
  });

  it('does not hurry while hooks of the runtime tell of sandboxes, and finds what they missed', async () => {
    const h = harness();
    h.hook(true);
    h.watch.expect('default/a', 'uid-1');
    expect(await h.look()).toBe(1_000);
    h.hook(false);
    expect(await h.look()).toBe(FAST_LOOK_MS);
    h.hook(true);
    h.set([sandbox('s1', 'uid-1')]);
    await h.look();
    expect(h.woken).toEqual(['default/a']);
    await h.end();
  });

  it('wakes a captured pod when its sandbox is gone or another', async () => {
    const h = harness();
    h.watch.guard('default/a', 'uid-1', 's1');
    h.watch.guard('default/b', 'uid-2', 's2');
    h.set([sandbox('s1', 'uid-1'), sandbox('s2-new', 'uid-2')]);
    await h.look();
    expect(h.woken).toEqual(['default/b']);
    h.set([]);
    await h.look();
    expect(h.woken).toEqual(['default/b', 'default/a']);
    await h.end();
  });

  it('forgets a deleted pod', async () => {
    const h = harness();
    h.watch.expect('default/a', 'uid-1');
    h.watch.forget('default/a');
    h.set([sandbox('s1', 'uid-1')]);
    await h.look();
    expect(h.woken).toEqual([]);
    await h.end();
  });

  it('survives a runtime that does not answer, says so once, and finds the sandbox afterwards', async () => {
    const h = harness();
    h.watch.expect('default/a', 'uid-1');
    h.set(new Error('connection refused'));
    await h.look();
    await h.look();
    expect(h.warnings).toEqual(['cannot list sandboxes']);
    h.set([sandbox('s1', 'uid-1')]);
    await h.look();
    expect(h.woken).toEqual(['default/a']);
    await h.end();
  });
});
