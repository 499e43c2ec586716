import { expect, it } from 'vitest';
import { parseUsage, usageOf } from './process-usage.ts';

it('reads CPU time and memory, whatever the name of the program', () => {
  const stat = '4211 (odd (name) x) S 1 4211 4211 0 -1 4194560 5 0 0 0 1250 350 0 0 20 0 9 0 8812 1 2';
  const status = 'Name:\todd\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\nRssAnon:\t   51200 kB\n';

  expect(parseUsage(stat, status)).toStrictEqual({ cpuSeconds: 16, rssMiB: 100, anonMiB: 50, peakRssMiB: 200 });
});

it('reads them of a process that runs', () => {
  const { cpuSeconds, rssMiB, peakRssMiB } = usageOf(process.pid);

  expect(cpuSeconds).toBeGreaterThan(0);
  expect(rssMiB).toBeGreaterThan(10);
  expect(peakRssMiB).toBeGreaterThanOrEqual(rssMiB);
});
