import { describe, expect, it } from 'vitest';
import { parseMark, readyMark, refusedMark } from '../netns/mark-text.ts';
import { type AnnotationReading, readAnnotation } from './annotation-file.ts';
import type { GateMode, GateOptions } from './gate-options.ts';
import { DISTINCT_MAX, HINT_AFTER_MS, REPEAT_MS } from './narrate.ts';
import type { MarkReading } from './observation.ts';
import { type GateEffects, HURRY_FOR_MS, MARK_POLL_MS, PATIENT_POLL_MS, waitForGate } from './wait.ts';

const READY = readyMark('0123456789abcdef');
const KEY = 'pod-network-controller.istio.io/status';

describe('what opens the gate', () => {
  it('is the mark, in mode mark, within one poll', async () => {
    const world = simulate({ 1_003: (now) => (now.mark = READY) });
    expect(await world.wait('mark')).toEqual({ kind: 'passed', policyHash: '0123456789abcdef' });
    expect(world.nowMs() - 1_003).toBeLessThanOrEqual(MARK_POLL_MS);
  });

  it('is found a little later by a gate that has waited long', async () => {
    const world = simulate({ [HURRY_FOR_MS + 1_003]: (now) => (now.mark = READY) });
    expect((await world.wait('mark')).kind).toBe('passed');
    expect(world.nowMs() - HURRY_FOR_MS - 1_003).toBeLessThanOrEqual(PATIENT_POLL_MS);
    expect(world.looks()).toBeLessThanOrEqual(HURRY_FOR_MS / MARK_POLL_MS + 12);
  });

  it('is at once what holds already', async () => {
    const world = simulate({ 0: (now) => Object.assign(now, { mark: READY, file: `${KEY}="initialized"` }) });
    expect((await world.wait('both')).kind).toBe('passed');
    expect(world.nowMs()).toBe(0);
  });

  it('is never an annotation that the author of the pod set beforehand, where the mark counts', async () => {
    for (const mode of ['mark', 'both'] as const) {
      const world = simulate({ 0: (now) => (now.file = `${KEY}="initialized"`) });
      expect((await world.wait(mode)).kind).toBe('timedOut');
    }
  });

  it('is never the mark alone in mode both', async () => {
    const world = simulate({ 0: (now) => (now.mark = READY) });
    expect(await world.wait('both')).toMatchObject({
      kind: 'timedOut',
      missing: [{ text: expect.stringContaining(KEY) }],
    });
  });

  it('is both holding in the same look', async () => {
    const world = simulate({
      100: (now) => (now.mark = READY),
      200: (now) => (now.mark = refusedMark('InvalidCapturePolicy', 'changed')),
      300: (now) => (now.file = `${KEY}="initialized"`),
      400: (now) => (now.mark = READY),
    });
    expect((await world.wait('both')).kind).toBe('passed');
    expect(world.nowMs()).toBeGreaterThanOrEqual(400);
  });

  it('is the annotation alone only in mode annotation, at once when the folder changes', async () => {
    const world = simulate({
      5_001: (now) => {
        now.file = `${KEY}="initialized"`;
        now.changed();
      },
    });
    expect(await world.wait('annotation')).toEqual({ kind: 'passed', policyHash: undefined });
    expect(world.nowMs()).toBe(5_001);
  });

  it('is found by the slow read where the kernel tells of no change', async () => {
    const world = simulate({ 5_001: (now) => (now.file = `${KEY}="initialized"`) });
    expect((await world.wait('annotation')).kind).toBe('passed');
    expect(world.nowMs()).toBeLessThanOrEqual(5_001 + 1_000);
  });

  it.each([
    ['a damaged mark', 'istio-pod-network-controller v1 ready 0123'],
    ['a mark of another version', 'istio-pod-network-controller v2 ready 0123456789abcdef'],
    ['an alias of somebody else', 'uplink'],
  ])('is not %s', async (_, alias) => {
    const world = simulate({ 0: (now) => (now.mark = alias) });
    expect((await world.wait('mark')).kind).toBe('timedOut');
    expect(world.printed.join('\n')).toContain(alias);
  });
});

describe('the wait', () => {
  it('ends at the timeout, not later, with what is missing', async () => {
    const world = simulate({});
    const outcome = await world.wait('mark', { timeoutMs: 10_005 });
    expect(outcome).toMatchObject({
      kind: 'timedOut',
      missing: [{ text: expect.stringContaining('/sys/lo/ifalias') }],
    });
    expect(world.nowMs()).toBe(10_005);
  });

  it('goes on after a refusal and ends when the agent decides anew', async () => {
    const world = simulate({
      0: (now) => (now.mark = refusedMark('InvalidCapturePolicy', 'port 99999')),
      40_000: (now) => (now.mark = READY),
    });
    expect((await world.wait('mark')).kind).toBe('passed');
  });

  it('ends at once when told to stop', async () => {
    const world = simulate({ 333: (now) => now.stop() });
    expect((await world.wait('mark')).kind).toBe('stopped');
    expect(world.nowMs()).toBe(333);
  });

  it('gives the folder watch back', async () => {
    const world = simulate({});
    await world.wait('both');
    expect(world.isWatching()).toBe(false);
  });
});

describe('what is printed', () => {
  it("is the agent's refusal: at once, each wording once, and again every 30 s", async () => {
    const world = simulate({
      100: (now) => (now.mark = refusedMark('InvalidCapturePolicy', 'port 99999')),
      1_000: (now) => (now.mark = refusedMark('InvalidCapturePolicy', 'port -1')),
      2_000: (now) => (now.mark = refusedMark('InvalidCapturePolicy', 'port 99999')),
    });
    await world.wait('mark', { timeoutMs: 100 + 2 * REPEAT_MS });
    expect(world.printed.filter((line) => line.includes('port -1'))).toHaveLength(1);
    expect(world.printed.filter((line) => line.includes('InvalidCapturePolicy: port 99999'))).toHaveLength(2);
  });

  it('is a hint to the DaemonSet after some seconds without a word, and then rarely', async () => {
    const world = simulate({});
    await world.wait('mark', { timeoutMs: HINT_AFTER_MS - 1 });
    expect(world.printed).toEqual([]);
    await world.wait('mark', { timeoutMs: HINT_AFTER_MS + REPEAT_MS });
    expect(world.printed).toHaveLength(1);
    expect(world.printed[0]).toContain('DaemonSet istio-pod-network-controller');
  });

  it('is the value of an annotation that says something else, and a file that cannot be read', async () => {
    const world = simulate({
      0: (now) => (now.unreadable = 'does not exist'),
      1_500: (now) => Object.assign(now, { unreadable: undefined, file: `${KEY}="failed"` }),
    });
    await world.wait('both');
    expect(world.printed.join('\n')).toMatch(
      /cannot be read from .*: does not exist[^]*is "failed", not "initialized"/,
    );
  });

  it('stays bounded when the mark never says the same twice', async () => {
    const world = simulate({ 0: (now) => (now.markAt = (ms) => refusedMark('Flapping', `attempt ${ms}`)) });
    await world.wait('mark', { timeoutMs: 20_000 });
    expect(world.printed).toHaveLength(DISTINCT_MAX);
  });
});

interface Now {
  mark: string;
  markAt: ((nowMs: number) => string) | undefined;
  file: string;
  unreadable: string | undefined;
  changed: () => void;
  stop: () => void;
}

/** A world with its own clock: sleeping moves it on, and what is scheduled happens on the way. */
function simulate(schedule: Readonly<Record<number, (now: Now) => void>>) {
  const sleeping = { woken: false };
  let nowMs = 0;
  let looks = 0;
  let stopped = false;
  let onChange: (() => void) | undefined;
  const now: Now = {
    mark: '',
    markAt: undefined,
    file: '',
    unreadable: undefined,
    changed: () => onChange?.(),
    stop: () => {
      stopped = true;
      sleeping.woken = true;
    },
  };
  const pending = Object.entries(schedule).map(([at, act]) => ({ atMs: Number(at), act }));
  const happen = () => {
    while (pending[0] !== undefined && pending[0].atMs <= nowMs) pending.shift()?.act(now);
  };
  happen();
  const printed: string[] = [];
  const effects: GateEffects = {
    nowMs: () => nowMs,
    sleep: async (ms) => {
      expect(ms).toBeGreaterThan(0);
      const untilMs = nowMs + ms;
      sleeping.woken = false;
      while (!sleeping.woken && nowMs < untilMs) {
        nowMs = Math.min(untilMs, pending[0]?.atMs ?? untilMs);
        happen();
      }
    },
    wake: () => {
      sleeping.woken = true;
    },
    readMark: (): MarkReading => {
      looks += 1;
      return parseMark(now.markAt?.(nowMs) ?? now.mark);
    },
    readAnnotation: (): AnnotationReading =>
      now.unreadable === undefined ? readAnnotation(now.file, KEY) : { kind: 'unreadable', why: now.unreadable },
    watch: (callback) => {
      onChange = callback;
      return () => {
        onChange = undefined;
      };
    },
    isStopped: () => stopped,
    print: (line) => printed.push(line),
  };
  return {
    printed,
    nowMs: () => nowMs,
    looks: () => looks,
    isWatching: () => onChange !== undefined,
    wait: (mode: GateMode, changes: Partial<GateOptions> = {}) =>
      waitForGate({ ...OPTIONS, mode, timeoutMs: 60_000, ...changes }, effects),
  };
}

const OPTIONS: GateOptions = {
  file: '/etc/podinfo/pod_annotations',
  annotationKey: KEY,
  annotationValue: 'initialized',
  timeoutMs: 60_000,
  delayMs: 1_000,
  mode: 'mark',
  markFile: '/sys/lo/ifalias',
};
