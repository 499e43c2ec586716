import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from './metrics.ts';

/** Measures how late the event loop comes round; each call of `report` tells of the time since the one before. */
export interface EventLoopDelay {
  report(metrics: Pick<Metrics, 'set'>): void;
  stop(): void;
}

/** Fine enough to tell of a stall that a pod's start would feel; a timer that fires 50 times a second costs next to nothing. */
const RESOLUTION_MS = 20;

export function measureEventLoopDelay(): EventLoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return {
    report: (metrics) => {
      if (histogram.count === 0) return;
      // Node records the whole time between two ticks: what exceeds the period is the delay.
      for (const [quantile, ns] of [
        ['0.5', histogram.percentile(50)],
        ['0.99', histogram.percentile(99)],
        ['1', histogram.max],
      ] as const) {
        metrics.set('eventLoopDelay', Math.max(0, ns / 1e9 - RESOLUTION_MS / 1000), { quantile });
      }
      histogram.reset();
    },
    stop: () => {
      histogram.disable();
    },
  };
}
