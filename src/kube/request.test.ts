import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeApiServer, fakeApiServer } from './fake-api-server.ts';
import { type ApiRequest, createTransport, type Transport } from './request.ts';

const LIST: ApiRequest = { method: 'GET', verb: 'list', resource: 'pods', path: '/api/v1/pods', timeoutMs: 10_000 };
const PATCH: ApiRequest = { ...LIST, method: 'PATCH', verb: 'patch' };

let server: FakeApiServer;
let transport: Transport;
let outcomes: string[];
let refreshed: number;
const stop = new AbortController();

beforeEach(async () => {
  server = await fakeApiServer();
  outcomes = [];
  refreshed = 0;
  transport = transportTo(server.url);
});

afterEach(async () => {
  transport.close();
  await server.close();
});

function transportTo(baseUrl: URL): Transport {
  return createTransport({
    baseUrl,
    credentials: {
      current: () => ({ token: 'secret', ca: '' }),
      refresh: () => {
        refreshed += 1;
      },
    },
    observe: ({ verb, resource, code }) => outcomes.push(`${verb} ${resource} ${code}`),
  });
}

describe('an answer', () => {
  it.each([
    [200, undefined],
    [401, 'ApiRefused'],
    [403, 'ApiRefused'],
    [404, 'ApiReply'],
    [409, 'ApiUnavailable'],
    [410, 'ApiReply'],
    [429, 'ApiUnavailable'],
    [500, 'ApiUnavailable'],
    [503, 'ApiUnavailable'],
  ])('of %d is %s, with the status and the words of the server, and is counted', async (status, code) => {
    const asking = transport.json(LIST, stop.signal);
    (await server.next()).reply(status, { message: 'because' }, { 'retry-after': '3' });
    if (code === undefined) expect(await asking).toEqual({ message: 'because' });
    else {
      await expect(asking).rejects.toMatchObject({
        code,
        message: `list pods: the API server answered ${status}: because`,
        fields: { status, retryAfterMs: 3_000 },
      });
    }
    expect(outcomes).toEqual([`list pods ${status}`]);
    expect(refreshed).toBe(status === 401 ? 1 : 0);
  });

  it('keeps its status however long its error text is', async () => {
    const asking = transport.json(LIST, stop.signal);
    (await server.next()).text(410, 'x'.repeat(1024 * 1024));
    await expect(asking).rejects.toMatchObject({ fields: { status: 410 } });
  });

  it('that is not JSON is ApiReply', async () => {
    const asking = transport.json(LIST, stop.signal);
    (await server.next()).text(200, '<html>');
    await expect(asking).rejects.toMatchObject({ code: 'ApiReply', message: 'list pods: the answer is not JSON' });
  });

  it('to a write is not read: its status says all', async () => {
    const writing = transport.write(PATCH, stop.signal);
    (await server.next()).text(200, `not JSON ${'x'.repeat(5 * 1024 * 1024)}`);
    await expect(writing).resolves.toBeUndefined();
  });

  it('has an end', async () => {
    const endless = createServer((_, response) => {
      const more = () => {
        while (response.write('x'.repeat(1024 * 1024))) if (response.destroyed) return;
      };
      response.on('drain', more);
      more();
    });
    await new Promise<void>((resolve) => {
      endless.listen(0, '127.0.0.1', resolve);
    });
    const client = transportTo(new URL(`http://127.0.0.1:${(endless.address() as AddressInfo).port}`));
    await expect(client.json(LIST, stop.signal)).rejects.toMatchObject({
      code: 'ApiReply',
      message: 'list pods: the API server sent more than 67108864 bytes',
    });
    client.close();
    endless.close();
  });
});

describe('a connection', () => {
  it('serves many requests', async () => {
    for (let round = 0; round < 5; round += 1) await pass();
    expect(server.connections()).toBe(1);
  });

  it('that the server closed while it was kept is replaced, and nobody notices', async () => {
    await pass();
    const writing = transport.write(PATCH, stop.signal);
    (await server.next()).reset();
    (await server.next()).reply(200, {});
    await expect(writing).resolves.toBeUndefined();
    expect(server.connections()).toBe(2);
    expect(outcomes).toEqual(['patch pods 200', 'patch pods 200']);
  });

  it('that is reset when new is an error: the server is not well', async () => {
    const writing = transport.write(PATCH, stop.signal);
    (await server.next()).reset();
    await expect(writing).rejects.toMatchObject({
      code: 'ApiUnavailable',
      message: expect.stringMatching(/^patch pods: /),
    });
    expect(outcomes).toEqual(['patch pods error']);
  });

  it('that is refused is an error', async () => {
    await server.close();
    await expect(transport.json(LIST, stop.signal)).rejects.toMatchObject({
      code: 'ApiUnavailable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('that never answers is given up, and the idle ones beside it', async () => {
    const both = [transport.write(PATCH, stop.signal), transport.write(PATCH, stop.signal)];
    const [first, second] = [await server.next(), await server.next()];
    first.reply(200, {});
    second.reply(200, {});
    await Promise.all(both);
    expect(server.connections()).toBe(2);
    await expect(transport.write({ ...PATCH, timeoutMs: 50 }, stop.signal)).rejects.toMatchObject({
      code: 'ApiUnavailable',
      message: 'patch pods: no answer within 50 ms',
    });
    await server.next();
    await pass();
    expect(server.connections()).toBe(3);
  });

  it('that breaks in the middle of an answer is an error', async () => {
    const asking = transport.json(LIST, stop.signal);
    const half = (await server.next()).watch();
    half.raw('{"metadata":');
    half.reset();
    await expect(asking).rejects.toMatchObject({ code: 'ApiUnavailable' });
  });
});

async function pass(): Promise<void> {
  const writing = transport.write(PATCH, stop.signal);
  (await server.next()).reply(200, {});
  await writing;
}
