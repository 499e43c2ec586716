import { expect, it } from 'vitest';
import { type Stopped, stoppedResult } from './agent-stopped-result.ts';
import type { Context } from './question.ts';
import type { Result } from './result.ts';
import { renderPage } from './report/page.ts';

const ctx = {
  result: (measured) => ({
    question: 'c',
    startedAt: '2030-01-02T03:04:05.000Z',
    machine: { versions: {} },
    ...measured,
  }),
} as Context;
const SEEN: Stopped = {
  undisturbedMs: [500, 600],
  stopped: [
    { begunAfterMs: 0, startMs: 2_600 },
    { begunAfterMs: 9_000, startMs: 700 },
  ],
  times: [{ seconds: 30.1, backMs: 1_234, restarted: true, meshPodMs: 900 }],
};
const page = (result: Result) => renderPage([result], new Map());

it('compares the pods, and tells how much longer the slowest took and how the agent came back', () => {
  const text = page(stoppedResult(ctx, SEEN));

  expect(text).toContain('slowest pod, ms more than the slowest undisturbed one: 2,000');
  expect(text).toContain('called by the runtime, ms: 1234');
  expect(text).toContain("ended meanwhile by kubelet's liveness probe: 1");
  expect(text).toContain('- unmeshed while the agent stands still over undisturbed: **1.40**');
  expect(text).toContain('- of these, once the runtime has dropped the agent, over undisturbed: **1.40**');
});

it('compares nothing where the time was over before the agent was stopped', () => {
  const result = stoppedResult(ctx, { ...SEEN, stopped: [], times: [] });

  expect(result.ratios).toEqual([]);
  expect(page(result)).not.toContain('NaN');
});
