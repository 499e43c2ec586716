import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ErrorCode, isControllerError } from '../errors.ts';
import { type Exchange, type FakeApiServer, fakeApiServer, type WatchStream } from './fake-api-server.ts';
import { createKubeClient } from './kube-client.ts';
import { LIST_WATCH_TIMES } from './list-watch.ts';

const TIMES = { ...LIST_WATCH_TIMES, openTimeoutMs: 200, listTimeoutMs: 200, idleMs: 200, shortestWatchMs: 0 };

function object(name: string, resourceVersion: string, uid = `uid-${name}`): object {
  return { kind: 'Pod', unknownField: { a: 1 }, metadata: { namespace: 'default', name, uid, resourceVersion } };
}

function listOf(resourceVersion: string, ...items: object[]): object {
  return { kind: 'PodList', metadata: { resourceVersion }, items };
}

/** A running list/watch, its store as the caller sees it, and the delays it chose between tries (none is slept through). */
function start(server: FakeApiServer, times = TIMES) {
  const store = new Map<string, string>();
  const log: string[] = [];
  const delays: number[] = [];
  const codes: ErrorCode[] = [];
  let tokens = ['token-1', 'token-2'];
  const waiting: { text: string; resolve: () => void }[] = [];
  const stop = new AbortController();
  const say = (text: string) => {
    log.push(text);
    for (const one of waiting) if (one.text === text) one.resolve();
  };
  const client = createKubeClient({
    baseUrl: server.url,
    credentials: {
      current: () => ({ token: tokens[0] ?? '', ca: '' }),
      refresh: () => {
        tokens = tokens.slice(1);
      },
    },
    observe: ({ verb, code }) => log.push(`${verb} ${code}`),
    clock: {
      nowMs: () => performance.now(),
      wallClock: () => new Date(0),
      random: () => 0.5,
      sleep: () => Promise.resolve(),
    },
    nodeName: 'node',
    times,
  });
  const running = client.listWatch(
    {
      path: '/api/v1/pods',
      resource: 'pods',
      fieldSelector: 'spec.nodeName=node',
      project: (raw) => {
        const { metadata } = raw as { metadata: { name: string; resourceVersion: string } };
        if (metadata.name === 'bad') throw new Error('cannot be used');
        return metadata.resourceVersion;
      },
      handlers: {
        onChange: (key, change) => {
          if (change.type === 'set') store.set(key, change.value);
          else store.delete(key);
          say(change.type === 'set' ? `set ${key} ${change.value}` : `delete ${key}`);
        },
        onSynced: () => say('synced'),
        onUnusable: (key) => say(`unusable ${key}`),
        onTrouble: (error, retryInMs) => {
          if (isControllerError(error)) codes.push(error.code);
          delays.push(retryInMs);
        },
      },
    },
    stop.signal,
  );
  return {
    store,
    log,
    delays,
    codes,
    until: (text: string) =>
      log.includes(text)
        ? Promise.resolve()
        : new Promise<void>((resolve) => {
            waiting.push({ text, resolve });
          }),
    end: async () => {
      stop.abort();
      client.close();
      await running;
    },
  };
}

let server: FakeApiServer;
let run: ReturnType<typeof start>;

beforeEach(async () => {
  server = await fakeApiServer();
});

afterEach(async () => {
  await run.end();
  await server.close();
});

/** Answers the first list and opens the watch that follows. */
async function synced(...items: object[]): Promise<{ list: Exchange; request: Exchange; watch: WatchStream }> {
  run = start(server);
  const list = await server.next();
  list.reply(200, listOf('10', ...items));
  const request = await server.next();
  return { list, request, watch: request.watch() };
}

describe('list and watch', () => {
  it('lists from the cache, watches from there with bookmarks and an end, and follows every change', async () => {
    const { list, request, watch } = await synced(object('a', '5'));
    expect(Object.fromEntries(list.query)).toEqual({
      fieldSelector: 'spec.nodeName=node',
      limit: '500',
      resourceVersion: '0',
    });
    expect(list.headers.authorization).toBe('Bearer token-1');
    expect(Object.fromEntries(request.query)).toEqual({
      fieldSelector: 'spec.nodeName=node',
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion: '10',
      timeoutSeconds: '450',
    });
    watch.send('ADDED', object('b', '11'));
    watch.send('MODIFIED', object('a', '12'));
    watch.send('DELETED', object('b', '13'));
    await run.until('delete default/b');
    expect([...run.store]).toEqual([['default/a', '12']]);
  });

  it('resumes after a clean end from the last bookmark, without a list', async () => {
    const { watch } = await synced();
    watch.send('BOOKMARK', { metadata: { resourceVersion: '77' } });
    watch.end();
    const resumed = await server.next();
    expect(resumed.query.get('watch')).toBe('1');
    expect(resumed.query.get('resourceVersion')).toBe('77');
    expect(run.delays).toEqual([]);
  });

  it('resumes after a reset in the middle of an event; the half event is not lost', async () => {
    const { watch } = await synced();
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

  it('takes an event that comes in single bytes, and two in one piece', async () => {
    const { watch } = await synced();
    const line = `${JSON.stringify({ type: 'ADDED', object: object('a', '11') })}\n`;
    for (const character of line) watch.raw(character);
    watch.raw(line.replaceAll('"11"', '"12"') + line.replaceAll('"11"', '"13"'));
    await run.until('set default/a 13');
    expect(run.log.filter((text) => text.startsWith('set'))).toEqual([
      'set default/a 11',
      'set default/a 12',
      'set default/a 13',
    ]);
  });

  it.each([
    ['as a status', (exchange: Exchange) => exchange.reply(410, { message: 'too old' })],
    ['as an event', (exchange: Exchange) => exchange.watch().send('ERROR', { code: 410, message: 'too old' })],
    [
      'as a version from the future',
      (exchange: Exchange) => exchange.reply(504, { message: 'Too large resource version: 99' }),
    ],
  ])('lists anew at once after 410 %s, and tells of what was deleted meanwhile', async (_, gone) => {
    const { watch } = await synced(object('a', '5'), object('b', '6'));
    watch.end();
    gone(await server.next());
    const relist = await server.next();
    expect(relist.query.has('watch')).toBe(false);
    expect(relist.query.has('resourceVersion')).toBe(false);
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

  it('lists at once after 410 however long the server was away before, for a restarted one always says that', async () => {
    const { watch } = await synced(object('a', '5'));
    watch.reset();
    for (let failure = 0; failure < 8; failure += 1) (await server.next()).reset();
    (await server.next()).reply(410, { message: 'too old' });
    (await server.next()).reply(200, listOf('50', object('a', '49')));
    await run.until('set default/a 49');
    expect(run.delays.at(-2)).toBeGreaterThan(0);
    expect(run.delays.at(-1)).toBe(0);
  });

  it('lists later each time if every watch is answered with 410', async () => {
    run = start(server);
    for (let round = 0; round < 4; round += 1) {
      (await server.next()).reply(200, listOf(String(10 + round)));
      (await server.next()).reply(410, { message: 'too old' });
    }
    (await server.next()).reply(200, listOf('50', object('a', '49')));
    await run.until('set default/a 49');
    expect(run.delays).toEqual([0, 800, 1_600, 3_200]);
  });

  it('reads the token again after a 401', async () => {
    run = start(server);
    const first = await server.next();
    first.reply(401, { message: 'Unauthorized' });
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
    run = start(server);
    for (let failure = 0; failure < 3; failure += 1) (await server.next()).reply(status, { message: 'no' });
    (await server.next()).reply(200, listOf('1'));
    await run.until('synced');
    expect(run.codes).toEqual([code, code, code]);
    expect(run.delays).toEqual([400, 800, 1_600]);
  });

  it('waits as long as Retry-After says, but not for ever', async () => {
    run = start(server);
    (await server.next()).reply(429, {}, { 'retry-after': '7' });
    (await server.next()).reply(503, {}, { 'retry-after': '999999' });
    (await server.next()).reply(200, listOf('1'));
    await run.until('synced');
    expect(run.delays[0]).toBeGreaterThanOrEqual(7_000);
    expect(run.delays[1]).toBeLessThan(125_000);
  });

  it('never pauses longer than 30 s however long the server is away', async () => {
    run = start(server);
    for (let failure = 0; failure < 12; failure += 1) (await server.next()).reset();
    (await server.next()).reply(200, listOf('1', object('a', '1')));
    await run.until('synced');
    expect(Math.max(...run.delays)).toBe(15_000);
    expect([...run.store.keys()]).toEqual(['default/a']);
  });

  it('gives up a half-open connection and resumes', async () => {
    await synced();
    // The watch is open and silent: no bookmark comes within idleMs.
    const resumed = await server.next();
    expect(resumed.query.get('resourceVersion')).toBe('10');
    expect(run.codes).toEqual(['ApiUnavailable']);
  });

  it('keeps a quiet watch open as long as bookmarks come', async () => {
    const { watch } = await synced();
    for (let version = 11; version < 17; version += 1) {
      watch.send('BOOKMARK', { metadata: { resourceVersion: String(version) } });
      // The time between two bookmarks is what is tested here: six of them are three times idleMs.
      await new Promise((resolve) => {
        setTimeout(resolve, TIMES.idleMs / 2);
      });
    }
    watch.send('ADDED', object('a', '20'));
    await run.until('set default/a 20');
    expect(run.log.filter((text) => text.startsWith('watch '))).toEqual(['watch 200']);
  });

  it('gives up a list that never answers', async () => {
    run = start(server);
    await server.next();
    (await server.next()).reply(200, listOf('1'));
    await run.until('synced');
    expect(run.codes).toEqual(['ApiUnavailable']);
  });

  it('keeps what it had of an object that cannot be used, and goes on', async () => {
    const { watch } = await synced(object('bad', '5'));
    expect(run.log).toContain('unusable default/bad');
    watch.send('MODIFIED', object('bad', '11'));
    watch.send('ADDED', object('good', '12'));
    await run.until('set default/good 12');
    expect(run.delays).toEqual([]);
  });

  it('does not swallow a line that is not JSON: it resumes before it', async () => {
    const { watch } = await synced();
    watch.raw('<html>\n');
    const resumed = await server.next();
    expect(resumed.query.get('resourceVersion')).toBe('10');
    expect(run.codes).toEqual(['ApiReply']);
  });

  it('tells a deleted and re-made object of the same name apart', async () => {
    const { watch } = await synced(object('a', '5', 'uid-1'));
    watch.send('MODIFIED', object('a', '11', 'uid-2'));
    await run.until('set default/a 11');
    expect(run.log.slice(-2)).toEqual(['delete default/a', 'set default/a 11']);
  });

  it('follows the pages of a list', async () => {
    run = start(server);
    (await server.next()).reply(200, {
      metadata: { resourceVersion: '9', continue: 'more' },
      items: [object('a', '1')],
    });
    const second = await server.next();
    expect(second.query.get('continue')).toBe('more');
    expect(second.query.has('resourceVersion')).toBe(false);
    second.reply(200, listOf('9', object('b', '2')));
    await run.until('synced');
    expect([...run.store.keys()]).toEqual(['default/a', 'default/b']);
  });

  it('pauses before it reopens a watch that the server ends at once', async () => {
    run = start(server, { ...TIMES, shortestWatchMs: 1_000 });
    (await server.next()).reply(200, listOf('1'));
    (await server.next()).watch().end();
    await server.next();
    expect(run.codes).toEqual(['ApiUnavailable']);
  });

  it('counts every request with its outcome', async () => {
    const { watch } = await synced();
    watch.end();
    (await server.next()).reply(500, {});
    await server.next();
    expect(run.log.filter((text) => /^(list|watch) /.test(text))).toEqual(['list 200', 'watch 200', 'watch 500']);
  });
});
