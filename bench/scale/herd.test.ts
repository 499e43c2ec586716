import { expect, it } from 'vitest';
import { herdOf, sumByKind } from './herd.ts';

const nothing = { openedMs: [], requests: [], troubles: {} };

it('tells when each agent was there for good, counted from the moment the server was there', () => {
  const herd = herdOf({ ...nothing, openedMs: [1_000, 1_250, 900] }, 1_000);

  expect(herd.syncedMs).toStrictEqual([0, 250, -100]);
  expect(herd.lost).toBe(0);
});

it('counts an agent with a watch that is not open as lost, and gives it no time', () => {
  const herd = herdOf({ ...nothing, openedMs: [1_000, Number.NaN] }, 1_000);

  expect(herd.syncedMs).toStrictEqual([0]);
  expect(herd.lost).toBe(1);
});

it('finds the peak of a second wherever it begins', () => {
  // Slots of 100 ms: half of the crowd before a full second, half after it.
  const requests = [
    { slot: 17, what: 'list pods 200', count: 40 },
    { slot: 22, what: 'watch pods 200', count: 50 },
    { slot: 31, what: 'watch pods 200', count: 30 },
  ];

  const herd = herdOf({ ...nothing, requests }, 1_000);

  expect(herd.peakPerSecond).toBe(90);
  expect(herd.peakPerSlot).toBe(50);
  expect(herd.perSecond).toStrictEqual([
    { second: 0, requests: 40 },
    { second: 1, requests: 50 },
    { second: 2, requests: 30 },
  ]);
});

it('leaves requests that reached nobody out of the load, but not out of the counts', () => {
  const requests = [
    { slot: 3, what: 'watch pods error', count: 7 },
    { slot: 3, what: 'watch pods 200', count: 2 },
  ];

  const herd = herdOf({ ...nothing, requests }, 0);

  expect(herd.peakPerSecond).toBe(2);
  expect(herd.requests).toStrictEqual({ 'watch pods error': 7, 'watch pods 200': 2 });
});

it('adds up what several processes counted', () => {
  const one = { slot: 1, what: 'list pods 200', count: 2 };

  expect(sumByKind([one, { ...one, slot: 9 }])).toStrictEqual({ 'list pods 200': 4 });
});
