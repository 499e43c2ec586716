import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { measureEventLoopDelay } from './event-loop.ts';

describe('the delay of the event loop', () => {
  it('is told by quantile, in seconds, and anew each time', async () => {
    const eventLoop = measureEventLoopDelay();
    // Its first tick comes with the event loop's next turn.
    await delay(50);
    block(400);
    await delay(50);
    const busy = report(eventLoop);
    await delay(100);
    const idle = report(eventLoop);
    eventLoop.stop();
    expect([...busy.keys()]).toEqual(['0.5', '0.99', '1']);
    expect(busy.get('1')).toBeGreaterThan(0.3);
    expect(busy.get('1')).toBeLessThan(5);
    expect(idle.get('1')).toBeLessThan(busy.get('1') ?? 0);
  });
});

function report(eventLoop: ReturnType<typeof measureEventLoopDelay>): Map<string, number> {
  const values = new Map<string, number>();
  eventLoop.report({ set: (_, seconds, labels) => values.set(labels?.['quantile'] ?? '', seconds) });
  return values;
}

/** Keeps the event loop from coming round. */
function block(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}
