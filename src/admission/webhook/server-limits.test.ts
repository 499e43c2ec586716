import { connect as tcpConnect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { SERVER_LIMITS } from './server-limits.ts';
import {
  client,
  closedBy,
  counted,
  first,
  head,
  opened,
  post,
  server,
  serverScene,
  start,
  until,
} from './server-scene.ts';

serverScene();

describe('bounds', () => {
  it('of one body, announced or not', async () => {
    await start(async () => ({}), { body: { ...SERVER_LIMITS.body, bytesMax: 1_000 } });
    expect((await post('x'.repeat(1_000))).status).toBe(200);
    expect(await post('x'.repeat(1_001))).toMatchObject({ status: 413 });
    expect((await post('x'.repeat(100_000), { chunked: true })).status).toBe(413);
    expect(counted).toContain('malformed');
  });

  it('of all bodies together', async () => {
    await start(async () => ({}), { body: { ...SERVER_LIMITS.body, held: { max: 10_000, perAddressMax: 10_000 } } });
    const slow = await opened();
    slow.write(head(8_000) + 'x'.repeat(7_000));
    // As soon as the server has read what was sent.
    await until(async () => (await post('x'.repeat(5_000))).status === 503);
    slow.destroy();
    await until(async () => (await post('x'.repeat(5_000))).status === 200);
  });

  it('of values in a body, before any of it is parsed', async () => {
    await start(async () => ({}));
    expect((await post('['.repeat(200_000))).status).toBe(200);
    expect(await post('['.repeat(200_001))).toMatchObject({ status: 413, body: expect.stringContaining('values') });
  });

  it('of large bodies: one at a time from one address, and small ones pass by', async () => {
    await start(async () => ({}), { body: { ...SERVER_LIMITS.body, largeBytes: 1_000 } });
    const large = await opened();
    large.write(head(2_000) + 'x');
    await until(async () => (await post('x'.repeat(1_001))).status === 503);
    expect((await post('x', { chunked: true })).status).toBe(503);
    expect((await post('x'.repeat(1_000))).status).toBe(200);
    large.destroy();
    await until(async () => (await post('x'.repeat(1_001))).status === 200);
  });

  it('of reviews at once', async () => {
    const held = Promise.withResolvers<void>();
    const both = Promise.withResolvers<void>();
    let begun = 0;
    const review = async () => {
      begun += 1;
      if (begun === 2) both.resolve();
      await held.promise;
      return {};
    };
    await start(review, { reviews: { max: 2, perAddressMax: 2 } });
    const two = [post('{}'), post('{}')];
    await both.promise;
    expect((await post('{}')).status).toBe(503);
    held.resolve();
    expect((await Promise.all(two)).map(({ status }) => status)).toEqual([200, 200]);
    expect(counted).toContain('busy');
  });

  it('of headers that never end, bodies that never end, and handshakes that never begin', async () => {
    await start(async () => ({}), { headersTimeoutMs: 100, requestTimeoutMs: 300 });
    const headless = await opened();
    headless.write('POST /gate HTTP/1.1\r\nx: ');
    const bodyless = await opened();
    bodyless.write(head(100));
    const silent = tcpConnect(server.port, '127.0.0.1');
    await Promise.all([headless, bodyless, silent].map(closedBy));
    expect((await post('{}')).status).toBe(200);
  });

  it('of connections from one address', async () => {
    await start(async () => ({}), { connections: { max: 9, perAddressMax: 3 } });
    const taken = [await opened(), await opened(), await opened()];
    await expect(post('{}')).rejects.toThrow();
    for (const socket of taken) socket.destroy();
    await until(async () => (await post('{}')).status === 200);
  });

  it('leave others their share: nobody takes all slots by bodies that do not end, or by reviews that wait', async () => {
    const held = Promise.withResolvers<void>();
    await start(async (body) => (body === '"slow"' ? held.promise.then(() => ({})) : {}), {
      reviews: { max: 3, perAddressMax: 2 },
      body: { ...SERVER_LIMITS.body, held: { max: 10_000, perAddressMax: 6_000 }, large: { max: 2, perAddressMax: 1 } },
    });
    const bodyless = await Promise.all([opened(), opened(), opened(), opened()]);
    for (const socket of bodyless) socket.write(head(2_000) + 'x'.repeat(1_500));
    // What has been read of them is all that this address may have held.
    await until(async () => (await post('"x"')).status === 503);
    const other = client(first, { localAddress: '127.0.0.2', keepAlive: false });
    expect((await post('x'.repeat(3_000), { agent: other })).status).toBe(200);
    for (const socket of bodyless) socket.destroy();
    await until(async () => (await post('"x"')).status === 200);
    const waiting = [post('"slow"'), post('"slow"')];
    await until(async () => (await post('"x"')).status === 503);
    expect((await post('"x"', { agent: other })).status).toBe(200);
    held.resolve();
    await Promise.all(waiting);
  });

  it('leave room for what the API server sends: a pod of a megabyte and a half', async () => {
    await start(async (body) => ({ length: body.length }));
    const body = 'x'.repeat(1_500_000);
    expect(await post(body)).toMatchObject({ status: 200, body: '{"length":1500000}' });
  });
});
