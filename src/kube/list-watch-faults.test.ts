import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Exchange, type FakeApiServer, fakeApiServer, type WatchStream } from './fake-api-server.ts';
import {
  bookmark,
  listOf,
  object,
  type Peculiar,
  type RunningListWatch,
  startListWatch,
} from './running-list-watch.ts';

let server: FakeApiServer;
let run: RunningListWatch;

beforeEach(async () => {
  server = await fakeApiServer();
});

afterEach(async () => {
  vi.useRealTimers();
  await run.end();
  await server.close();
});

async function synced(items: readonly object[] = [], peculiar?: Peculiar): Promise<WatchStream> {
  run = startListWatch(server, peculiar);
  (await server.next()).reply(200, listOf('10', ...items));
  return (await server.next()).watch();
}

describe('a server that forgot where we were', () => {
  it.each([
    ['as a status', (exchange: Exchange) => exchange.reply(410, { message: 'too old' })],
    ['as an event', (exchange: Exchange) => exchange.watch().send('ERROR', { code: 410, message: 'too old' })],
  ])('410 %s: lists at once, from the watch cache, and tells of what was deleted meanwhile', async (_, gone) => {
    const watch = await synced([object('a', '5'), object('b', '6')]);
    watch.send('BOOKMARK', bookmark('20'));
    watch.end();
    gone(await server.next());
    const relist = await server.next();
    // Not older than what we knew; a limit would make that "exactly", which only etcd can answer.
    expect(Object.fromEntries(relist.query)).toEqual({ fieldSelector: 'spec.nodeName=node', resourceVersion: '20' });
    relist.reply(200, listOf('50', object('b', '6'), object('c', '49')));
    await run.until('delete default/a');
    expect([...run.store]).toEqual([
      ['default/b', '6'],
      ['default/c', '49'],
    ]);
    // Nothing is said about what did not change.
    expect(run.log.filter((text) => text === 'set default/b 6')).toHaveLength(1);
    expect(run.delays).toEqual([0]);
  });

  it.each([
    [410, 'The provided continue parameter is too old'],
    [504, 'Timeout: Too large resource version: 10, current: 3'],
  ])('%d for the list too: asks for the newest state, in pages', async (status, message) => {
    const watch = await synced([object('a', '5')]);
    watch.send('ERROR', { code: 410, message: 'too old' });
    (await server.next()).reply(status, { message });
    const newest = await server.next();
    expect(Object.fromEntries(newest.query)).toEqual({ fieldSelector: 'spec.nodeName=node', limit: '500' });
    newest.reply(200, listOf('3'));
    await run.until('delete default/a');
    expect((await server.next()).query.get('resourceVersion')).toBe('3');
  });

  it('lists at once after 410 however long the server was away before, for a restarted one always says that', async () => {
    const watch = await synced([object('a', '5')]);
    watch.reset();
    for (let failure = 0; failure < 8; failure += 1) (await server.next()).reset();
    (await server.next()).reply(410, { message: 'too old' });
    (await server.next()).reply(200, listOf('50', object('a', '49')));
    await run.until('set default/a 49');
    expect(run.delays.at(-2)).toBeGreaterThan(0);
    expect(run.delays.at(-1)).toBe(0);
  });

  it('lists later each time if every watch is answered with 410', async () => {
    run = startListWatch(server);
    for (let round = 0; round < 4; round += 1) {
      (await server.next()).reply(200, listOf(String(10 + round)));
      (await server.next()).reply(410, { message: 'too old' });
    }
    (await server.next()).reply(200, listOf('50', object('a', '49')));
    await run.until('set default/a 49');
    expect(run.delays).toEqual([0, 800, 1_600, 3_200]);
  });

  it('lists if a watch never says a word: that is how a server restored from a backup waits for our version', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await synced([object('a', '5')]);
    await run.until('watch 200');
    await vi.advanceTimersByTimeAsync(150_000);
    const relist = await server.next();
    expect(relist.query.has('watch')).toBe(false);
    expect(relist.query.get('resourceVersion')).toBe('10');
  });
});

describe('a connection that breaks', () => {
  it('resumes after a reset in the middle of an event; the half event is not lost', async () => {
    const watch = await synced();
    watch.send('ADDED', object('a', '11'));
    await run.until('set default/a 11');
    watch.raw('{"type":"ADDED","object":{"metad');
    watch.reset();
    const resumed = await server.next();
    expect(resumed.query.get('resourceVersion')).toBe('11');
    resumed.watch().send('ADDED', object('b', '12'));
    await run.until('set default/b 12');
    expect(run.codes).toEqual(['ApiUnavailable']);
  });

  it('gives up a half-open one and resumes where it was, without a list', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const watch = await synced();
    watch.send('ADDED', object('a', '11'));
    await run.until('set default/a 11');
    await vi.advanceTimersByTimeAsync(150_000);
    const resumed = await server.next();
    expect(resumed.query.get('watch')).toBe('1');
    expect(resumed.query.get('resourceVersion')).toBe('11');
    expect(run.codes).toEqual(['ApiUnavailable']);
  });

  it.each([
    ['list', 60_000, false],
    ['watch', 30_000, true],
  ])('gives up a %s that never answers', async (_, timeoutMs, listed) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    run = startListWatch(server);
    const first = await server.next();
    if (listed) first.reply(200, listOf('10'));
    if (listed) await server.next();
    await vi.advanceTimersByTimeAsync(timeoutMs - 1);
    expect(run.codes).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await server.next();
    expect(run.codes).toEqual(['ApiUnavailable']);
  });

  it('never pauses longer than 30 s however long the server is away, and loses nothing', async () => {
    const watch = await synced([object('a', '5')]);
    watch.reset();
    for (let failure = 0; failure < 12; failure += 1) (await server.next()).reset();
    const resumed = await server.next();
    expect(resumed.query.get('resourceVersion')).toBe('10');
    expect([...run.store.keys()]).toEqual(['default/a']);
    resumed.watch().send('DELETED', object('a', '11'));
    await run.until('delete default/a');
    expect(run.delays.slice(0, 4)).toEqual([400, 800, 1_600, 3_200]);
    expect(Math.max(...run.delays)).toBe(15_000);
  });

  it('pauses before it reopens a watch that ends at once, bookmark or not', async () => {
    run = startListWatch(server, { nowMs: () => 0, times: { shortestWatchMs: 1_000 } });
    (await server.next()).reply(200, listOf('1'));
    for (let round = 0; round < 3; round += 1) {
      const watch = (await server.next()).watch();
      watch.send('BOOKMARK', bookmark('2'));
      watch.end();
    }
    await server.next();
    expect(run.delays).toEqual([400, 800, 1_600]);
  });
});

describe('a server that refuses', () => {
  it('reads the token again after a 401', async () => {
    run = startListWatch(server);
    (await server.next()).reply(401, { message: 'Unauthorized' });
    const second = await server.next();
    expect(second.headers.authorization).toBe('Bearer token-2');
    second.reply(200, listOf('1'));
    await run.until('synced');
    expect(run.codes).toEqual(['ApiRefused']);
  });

  it.each([
    [403, 'ApiRefused'],
    [500, 'ApiUnavailable'],
    [429, 'ApiUnavailable'],
  ] as const)('comes back after %d, later each time', async (status, code) => {
    run = startListWatch(server);
    for (let failure = 0; failure < 3; failure += 1) (await server.next()).reply(status, { message: 'no' });
    (await server.next()).reply(200, listOf('1'));
    await run.until('synced');
    expect(run.codes).toEqual([code, code, code]);
    expect(run.delays).toEqual([400, 800, 1_600]);
  });

  it.each([
    ['a status', (exchange: Exchange) => exchange.reply(500, { message: 'no' })],
    ['an event', (exchange: Exchange) => exchange.watch().send('ERROR', { code: 500, message: 'no' })],
  ])('resumes a watch after 500 as %s, without a list', async (_, refuse) => {
    const watch = await synced();
    watch.send('BOOKMARK', bookmark('11'));
    watch.end();
    refuse(await server.next());
    const resumed = await server.next();
    expect(resumed.query.get('resourceVersion')).toBe('11');
    expect(run.codes).toEqual(['ApiUnavailable']);
  });

  it('waits as long as Retry-After says, but not for ever', async () => {
    run = startListWatch(server);
    (await server.next()).reply(429, {}, { 'retry-after': '7' });
    (await server.next()).reply(503, {}, { 'retry-after': '999999' });
    (await server.next()).reply(200, listOf('1'));
    await run.until('synced');
    expect(run.delays[0]).toBeGreaterThanOrEqual(7_000);
    expect(run.delays[1]).toBeLessThan(125_000);
  });
});

describe('an answer that makes no sense', () => {
  it.each([
    ['is not JSON', '<html>\n'],
    ['is no event', '{"type":"HELLO","object":{}}\n'],
    ['has no version', '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":""}}}\n'],
    ['has no name', '{"type":"ADDED","object":{"metadata":{"namespace":"default","resourceVersion":"11"}}}\n'],
  ])('resumes before a line that %s', async (_, line) => {
    const watch = await synced();
    watch.raw(line);
    const resumed = await server.next();
    expect(resumed.query.get('resourceVersion')).toBe('10');
    expect(run.codes).toEqual(['ApiReply']);
    resumed.watch().send('ADDED', object('a', '11'));
    await run.until('set default/a 11');
  });

  it('does not keep a line without end', async () => {
    const watch = await synced();
    for (let mebibytes = 0; mebibytes < 9; mebibytes += 1) watch.raw('x'.repeat(1024 * 1024));
    await server.next();
    expect(run.codes).toEqual(['ApiReply']);
  });

  it('gets past a line that is the same at every try, by a list', async () => {
    const watch = await synced();
    watch.raw('<html>\n');
    for (let tries = 0; tries < 2; tries += 1) {
      const again = await server.next();
      expect(again.query.get('resourceVersion')).toBe('10');
      again.watch().raw('<html>\n');
    }
    const relist = await server.next();
    expect(relist.query.has('watch')).toBe(false);
    relist.reply(200, listOf('50', object('a', '49')));
    await run.until('set default/a 49');
  });

  it('lists again after a list without a version', async () => {
    run = startListWatch(server);
    (await server.next()).reply(200, { metadata: {}, items: [] });
    const again = await server.next();
    expect(again.query.has('watch')).toBe(false);
    expect(run.codes).toEqual(['ApiReply']);
  });
});
