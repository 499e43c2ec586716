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

/** Answers the first list and opens the watch that follows. */
async function synced(
  items: readonly object[] = [],
  peculiar?: Peculiar,
): Promise<{ list: Exchange; request: Exchange; watch: WatchStream }> {
  run = startListWatch(server, peculiar);
  const list = await server.next();
  list.reply(200, listOf('10', ...items));
  const request = await server.next();
  return { list, request, watch: request.watch() };
}

describe('list and watch', () => {
  it('lists from the cache, watches from there with bookmarks and an end, and follows every change', async () => {
    const { list, request, watch } = await synced([object('a', '5')]);
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
    watch.send('BOOKMARK', bookmark('77'));
    watch.end();
    const resumed = await server.next();
    expect(resumed.query.get('watch')).toBe('1');
    expect(resumed.query.get('resourceVersion')).toBe('77');
    expect(run.delays).toEqual([]);
    // A bookmark is no object.
    expect([...run.store]).toEqual([]);
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

  it('keeps a quiet watch open as long as something comes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { watch } = await synced();
    for (const version of ['11', '12', '13', '14']) {
      watch.send('MODIFIED', object('a', version));
      await run.until(`set default/a ${version}`);
      vi.advanceTimersByTime(149_000);
    }
    expect(run.codes).toEqual([]);
    vi.advanceTimersByTime(1_000);
    await run.until('trouble');
    expect(run.log.filter((text) => text.startsWith('watch '))).toEqual(['watch 200']);
  });

  it('follows the pages of a list', async () => {
    run = startListWatch(server);
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

  it('tells a deleted and re-made object of the same name apart', async () => {
    const { watch } = await synced([object('a', '5', 'uid-1')]);
    watch.send('MODIFIED', object('a', '11', 'uid-2'));
    await run.until('set default/a 11');
    expect(run.log.slice(-2)).toEqual(['delete default/a', 'set default/a 11']);
  });

  it('counts every request with its outcome', async () => {
    const { watch } = await synced();
    watch.end();
    (await server.next()).reply(500, {});
    await server.next();
    expect(run.log.filter((text) => /^(list|watch) /.test(text))).toEqual(['list 200', 'watch 200', 'watch 500']);
  });

  it('shows how it fares', async () => {
    let nowMs = 1_000;
    run = startListWatch(server, { nowMs: () => nowMs, times: { shortestWatchMs: 1_000 } });
    const first = await server.next();
    expect(run.state()).toMatchObject({ resource: 'pods', synced: false, lastContactMs: undefined });
    nowMs = 2_000;
    first.reply(503, {});
    const second = await server.next();
    expect(run.state()).toMatchObject({ synced: false, failingSinceMs: 2_000 });
    nowMs = 3_000;
    second.reply(200, listOf('10'));
    const opened = await server.next();
    expect(run.state()).toMatchObject({ synced: true, lastContactMs: 3_000, failingSinceMs: undefined });
    nowMs = 4_000;
    opened.watch().send('ERROR', { code: 500, message: 'no' });
    const again = await server.next();
    nowMs = 5_000;
    // Headers and then an error again is not a recovery in between.
    again.watch().send('ERROR', { code: 500, message: 'no' });
    await server.next();
    expect(run.state()).toMatchObject({ synced: true, failingSinceMs: 4_000 });
    await run.end();
    expect(run.state()).toBeUndefined();
  });
});

describe('one object that cannot be used', () => {
  it('leaves what was there of it, and the others go on', async () => {
    const { watch } = await synced([object('bad', '5')]);
    expect(run.log).toContain('unusable default/bad');
    watch.send('MODIFIED', object('bad', '11'));
    watch.send('ADDED', object('good', '12'));
    await run.until('set default/good 12');
    expect(run.delays).toEqual([]);
  });

  it('is reported when it is the caller that throws, stops nothing, and is handed over again by the next list', async () => {
    const throwsFor = new Set(['default/a', 'default/b']);
    const { watch } = await synced([object('b', '5')], {
      onChange: (key) => {
        if (throwsFor.delete(key)) throw new Error('bug');
      },
    });
    watch.send('ADDED', object('a', '11'));
    watch.send('ADDED', object('c', '12'));
    await run.until('set default/c 12');
    expect(run.log).toEqual(expect.arrayContaining(['unusable default/a', 'unusable default/b']));
    expect([...run.store.keys()]).toEqual(['default/c']);
    watch.send('ERROR', { code: 410, message: 'too old' });
    (await server.next()).reply(200, listOf('50', object('a', '11'), object('b', '5'), object('c', '12')));
    await server.next();
    expect([...run.store.keys()].toSorted()).toEqual(['default/a', 'default/b', 'default/c']);
    expect(run.log.filter((text) => text === 'set default/c 12')).toHaveLength(1);
  });

  it('has its end told even if the caller threw for its beginning', async () => {
    let thrown = false;
    const { watch } = await synced([], {
      onChange: () => {
        if (!thrown) {
          thrown = true;
          throw new Error('bug');
        }
      },
    });
    watch.send('ADDED', object('a', '11'));
    watch.send('DELETED', object('a', '12'));
    await run.until('delete default/a');
    expect(run.log).toContain('unusable default/a');
  });
});
