import { beforeEach, expect, it } from 'vitest';
import { createLedger, type Ledger } from './ledger.ts';

let nowMs = 0;
let said: string[] = [];
let ledger: Ledger;

beforeEach(() => {
  nowMs = 0;
  said = [];
  ledger = createLedger({
    agents: 2,
    listWatchesPerAgent: 2,
    nowMs: () => nowMs,
    onSettled: (settled) => said.push(settled ? 'settled' : 'unsettled'),
    onMarked: (marker) => said.push(`marked ${marker}`),
  });
});

it('is settled once all watches of all agents are open, and not when one is interrupted', () => {
  const watches = [0, 0, 1, 1].map((agent) => ledger.listWatch(agent));

  for (const watch of watches.slice(0, 3)) watch.opened();
  expect(said).toStrictEqual([]);
  watches[3]?.opened();
  expect(said).toStrictEqual(['settled']);
  watches[0]?.interrupted('pods: status 410');
  watches[1]?.interrupted('pods: status 410');
  watches[0]?.opened();
  expect(said).toStrictEqual(['settled', 'unsettled']);
  watches[1]?.opened();
  expect(said).toStrictEqual(['settled', 'unsettled', 'settled']);
});

it('counts a watch that follows another without a break as open all the time', () => {
  const watches = [0, 0, 1, 1].map((agent) => ledger.listWatch(agent));
  for (const watch of watches) watch.opened();

  nowMs = 50;
  watches[0]?.opened();
  watches[1]?.interrupted('why');

  expect(said).toStrictEqual(['settled', 'unsettled']);
});

it('takes a watch that fails again and again for one that is not open', () => {
  const watches = [0, 0, 1, 1].map((agent) => ledger.listWatch(agent));
  for (const watch of watches) watch.opened();

  for (let failure = 0; failure < 3; failure += 1) watches[0]?.interrupted('pods: ECONNREFUSED');
  watches[0]?.opened();

  expect(said).toStrictEqual(['settled', 'unsettled', 'settled']);
  expect(ledger.report().troubles).toStrictEqual({ 'pods: ECONNREFUSED': 3 });
});

it('gives an agent the time of its later watch, and none while one of them is not open', () => {
  const [podsOf0, namespacesOf0, podsOf1, namespacesOf1] = [0, 0, 1, 1].map((agent) => ledger.listWatch(agent));
  nowMs = 10;
  podsOf0?.opened();
  podsOf1?.opened();
  nowMs = 30;
  namespacesOf0?.opened();
  namespacesOf1?.opened();
  podsOf1?.interrupted('why');

  expect(ledger.report().openedMs).toStrictEqual([30, Number.NaN]);
});

it('puts requests of the same kind and tenth of a second together', () => {
  for (const at of [1_210, 1_290, 1_300]) {
    nowMs = at;
    ledger.requested('list pods 200');
  }

  expect(ledger.report().requests).toStrictEqual([
    { slot: 12, what: 'list pods 200', count: 2 },
    { slot: 13, what: 'list pods 200', count: 1 },
  ]);
});

it('says that a marker is known when every agent has seen it', () => {
  ledger.marked('one');
  expect(said).toStrictEqual([]);
  nowMs = 5;
  ledger.marked('one');

  expect(said).toStrictEqual(['marked one']);
  expect(ledger.report().markedMs).toStrictEqual({ one: [0, 5] });
});

it('forgets counts, but not which watches are open', () => {
  const watches = [0, 0, 1, 1].map((agent) => ledger.listWatch(agent));
  for (const watch of watches) watch.opened();
  watches[0]?.interrupted('why');
  watches[0]?.opened();
  ledger.requested('list pods 200');

  ledger.clear();

  expect(ledger.report()).toStrictEqual({ openedMs: [0, 0], requests: [], troubles: {}, markedMs: {} });
});
