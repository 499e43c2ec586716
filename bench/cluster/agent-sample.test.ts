import { describe, expect, it } from 'vitest';
import { cpuPercent, sampleAgent, slope } from './agent-sample.ts';

describe('the slope of samples', () => {
  it('is that of a line they lie on', () => {
    const points = [0, 10, 20, 50].map((x) => ({ x, y: 40 + x / 10 }));
    expect(slope(points)).toBeCloseTo(0.1, 10);
  });

  it('is none where they lie about a level', () => {
    const points = [41, 40, 40, 41].map((y, x) => ({ x, y }));
    expect(slope(points)).toBeCloseTo(0, 10);
  });
});

describe('a process', () => {
  it('that computes uses about one processor, and has as much memory as Node says', () => {
    const own = { pid: process.pid };
    const from = sampleAgent(own);
    const untilMs = performance.now() + 300;
    while (performance.now() < untilMs);
    const to = sampleAgent(own);
    expect(cpuPercent(from, to)).toBeGreaterThan(5);
    expect(cpuPercent(from, to)).toBeLessThan(800);
    expect(Math.abs(to.rssMiB - process.memoryUsage.rss() / 2 ** 20)).toBeLessThan(20);
  });
});
