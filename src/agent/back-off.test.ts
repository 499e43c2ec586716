import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backOffMs } from './back-off.ts';

describe('back-off', () => {
  it('starts at a tenth of a second and never exceeds 30 s', () => {
    expect(backOffMs(0, () => 1)).toBe(100);
    expect(backOffMs(1_000, () => 1)).toBe(30_000);
  });

  it('is never shorter than half its ceiling', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
        const ceiling = Math.min(100 * 2 ** Math.min(attempt, 16), 30_000);
        const delay = backOffMs(attempt, () => random);
        expect(delay).toBeGreaterThanOrEqual(ceiling / 2);
        expect(delay).toBeLessThanOrEqual(ceiling);
      }),
    );
  });
});
