import { describe, expect, it } from 'vitest';
import { createFakeClock } from './fake-clock.ts';
import { recordHooks } from './fake-hooks.ts';
import { createHookRunner, hookBudgetMs } from './hook-runner.ts';
import type { HookCall, PluginHooks, ToldContainer, ToldSandbox } from './plugin-hooks.ts';

const SANDBOX: ToldSandbox = {
  id: 'sandbox-1',
  podName: 'web',
  podUid: 'uid',
  podNamespace: 'shop',
  labels: {},
  annotations: {},
  runtimeHandler: '',
  netnsPath: '/run/netns/x',
  ips: [],
  pid: 7,
};
const CONTAINER: ToldContainer = { id: 'c', sandboxId: 'sandbox-1', name: 'app', state: 'unknown' };
const never = () => new Promise<never>(() => {});

function start(overrides: Partial<PluginHooks>) {
  const clock = createFakeClock();
  const recorded = recordHooks(overrides);
  return { clock, ...recorded, runner: createHookRunner({ ...recorded, clock }) };
}

describe('the time of a hook', () => {
  it.each([
    // timeout of the call in ns, timeout told at Configure in ms, what is left for the hook in ms
    [1_999_629_744n, 2_000n, 1_599.629744],
    [0n, 2_000n, 1_600],
    [0n, 0n, 1_600],
    [0n, 1_000n, 600],
    // More than the usual 2 s is not made use of: all pods of the node wait.
    [60_000_000_000n, 60_000n, 1_600],
    [2n ** 63n - 1n, 0n, 1_600],
    // Too little for the margin: half of it.
    [500_000_000n, 2_000n, 250],
    [1_000n, 2_000n, 0.0005],
    [-5n, -5n, 1_600],
  ])('of %d ns, or %d ms, leaves %d ms', (timeoutNano, requestTimeoutMs, budgetMs) => {
    expect(hookBudgetMs(timeoutNano, requestTimeoutMs)).toBeCloseTo(budgetMs, 6);
  });
});

describe('running a hook', () => {
  it('tells the hook by when, and answers as soon as it has ended', async () => {
    const told: HookCall[] = [];
    const { runner, clock, answers } = start({ runPodSandbox: async (_, call) => void told.push(call) });
    clock.advance(100);
    await runner.runPodSandbox(SANDBOX, 1_600);
    expect(told).toEqual([{ deadlineMs: 1_700 }]);
    expect(answers).toEqual([{ hook: 'runPodSandbox', outcome: 'done', isRefusal: false, durationMs: 0 }]);
    expect(clock.waitsMs()).toEqual([]);
  });

  it('answers at the deadline, not before, when the hook has not ended', async () => {
    const { runner, clock, answers, lines } = start({ runPodSandbox: never });
    let isAnswered = false;
    const answer = runner.runPodSandbox(SANDBOX, 1_600).then(() => {
      isAnswered = true;
    });
    clock.advance(1_599);
    await Promise.resolve();
    expect(isAnswered).toBe(false);
    clock.advance(1);
    await answer;
    expect(answers).toEqual([{ hook: 'runPodSandbox', outcome: 'late', isRefusal: false, durationMs: 1_600 }]);
    expect(lines).toEqual(['warn: a hook has not ended in time, the runtime is answered without it']);
  });

  it('never objects to a sandbox, even when the hook throws, at once or later', async () => {
    const failures: PluginHooks['runPodSandbox'][] = [
      () => {
        throw new Error('at once');
      },
      () => Promise.reject(new Error('later')),
    ];
    for (const runPodSandbox of failures) {
      const { runner, answers, lines, clock } = start({ runPodSandbox });
      await runner.runPodSandbox(SANDBOX, 1_600);
      expect(answers).toMatchObject([{ outcome: 'failed', isRefusal: false }]);
      expect(lines).toEqual(['error: a hook failed']);
      expect(clock.waitsMs()).toEqual([]);
    }
  });

  it('hands on an objection to a container', async () => {
    const { runner, answers } = start({ createContainer: () => Promise.resolve('no rules yet') });
    expect(await runner.createContainer(SANDBOX, CONTAINER, 1_600)).toBe('no rules yet');
    expect(answers).toMatchObject([{ hook: 'createContainer', outcome: 'refused', isRefusal: true }]);
  });

  it.each([
    ['late', true, 'not decided in time'],
    ['late', false, undefined],
    ['failed', true, 'not decided: the hook failed, see the log of the agent'],
    ['failed', false, undefined],
  ] as const)('%s, and the pod must be decided: %s → %s', async (outcome, isHeld, objection) => {
    const createContainer = outcome === 'late' ? never : () => Promise.reject(new Error('broken'));
    const { runner, clock, answers } = start({ createContainer, mustDecide: () => isHeld });
    const answer = runner.createContainer(SANDBOX, CONTAINER, 1_600);
    if (outcome === 'late') clock.advance(1_600);
    expect(await answer).toBe(objection);
    expect(answers).toMatchObject([{ outcome, isRefusal: isHeld }]);
  });

  it('lets a container pass when even the question whether to hold it fails', async () => {
    const mustDecide = () => {
      throw new Error('broken');
    };
    const { runner, lines } = start({ createContainer: () => Promise.reject(new Error('broken')), mustDecide });
    expect(await runner.createContainer(SANDBOX, CONTAINER, 1_600)).toBeUndefined();
    expect(lines).toEqual(['error: a hook failed', 'error: a hook failed']);
  });

  it('ignores what a hook says, or throws, after its deadline', async () => {
    const late = Promise.withResolvers<string | undefined>();
    const { runner, clock, answers, lines } = start({ createContainer: () => late.promise });
    const answer = runner.createContainer(SANDBOX, CONTAINER, 1_600);
    clock.advance(1_600);
    expect(await answer).toBeUndefined();
    late.reject(new Error('too late'));
    await new Promise(setImmediate);
    expect(answers.length).toBe(1);
    expect(lines.at(-1)).toBe('error: a hook failed');
  });

  it('calls no more hooks while 64 have not ended, and again when one has', async () => {
    const first = Promise.withResolvers<void>();
    let called = 0;
    const runPodSandbox = () => {
      called += 1;
      return called === 1 ? first.promise : never();
    };
    const { runner, clock, answers } = start({ runPodSandbox });
    const waiting = Array.from({ length: 64 }, () => runner.runPodSandbox(SANDBOX, 1_600));
    await runner.runPodSandbox(SANDBOX, 1_600);
    expect(called).toBe(64);
    expect(answers).toMatchObject([{ outcome: 'late', durationMs: 0 }]);
    first.resolve();
    await waiting[0];
    const next = runner.runPodSandbox(SANDBOX, 1_600);
    expect(called).toBe(65);
    clock.advance(1_600);
    await Promise.all([...waiting, next]);
    expect(answers.length).toBe(66);
  });
});
