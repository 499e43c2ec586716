import { expect, it } from 'vitest';
import { mergeReports } from './crew.ts';
import type { CrewReport } from './protocol.ts';

const report: CrewReport = {
  openedMs: [1],
  requests: [{ slot: 1, what: 'list pods 200', count: 1 }],
  troubles: { 'pods: status 410': 2 },
  markedMs: { a: [1] },
  landings: [],
  receivedBytes: 10,
  sentBytes: 1,
  cpuSeconds: 0.5,
  rssMiB: 100,
};

it('makes one report of several: lists joined, numbers added', () => {
  const merged = mergeReports([
    report,
    { ...report, openedMs: [2], markedMs: { a: [3], b: [4] }, troubles: { 'pods: status 410': 3 } },
  ]);

  expect(merged).toStrictEqual({
    openedMs: [1, 2],
    requests: [...report.requests, ...report.requests],
    troubles: { 'pods: status 410': 5 },
    markedMs: { a: [1, 3], b: [4] },
    landings: [],
    receivedBytes: 20,
    sentBytes: 2,
    cpuSeconds: 1,
    rssMiB: 200,
  });
});
