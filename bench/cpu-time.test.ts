import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { childrenMs, cpuTimeMs } from './cpu-time.ts';

describe('CPU time', () => {
  it('of children is found behind a name of any kind', () => {
    const fields = Array.from({ length: 30 }, (_, index) => String(index + 4));

    expect(childrenMs(`12 (a b) c) S ${fields.join(' ')}`)).toBe(10 * (16 + 17));
  });

  it('counts what a child computed, and not what it slept', () => {
    const beforeMs = cpuTimeMs();
    spawnSync(process.execPath, [
      '-e',
      'const until = process.cpuUsage().user + 200_000; while (process.cpuUsage().user < until);',
    ]);
    const computedMs = cpuTimeMs() - beforeMs;
    const sleepBeforeMs = cpuTimeMs();
    spawnSync('sleep', ['0.3']);

    expect(computedMs).toBeGreaterThanOrEqual(190);
    expect(cpuTimeMs() - sleepBeforeMs).toBeLessThan(150);
  });
});
