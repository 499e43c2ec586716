import { describe, expect, it } from 'vitest';
import { ControllerError } from '../../errors.ts';
import { client, first, plainly, post, second, server, serverScene, start } from './server-scene.ts';

serverScene();

describe('the server', () => {
  it('answers POST /gate over a connection that is kept', async () => {
    await start(async (body) => ({ got: body }));
    const agent = client();
    expect(await post('{"a":1}', { agent, path: '/gate?timeout=5s' })).toMatchObject({
      status: 200,
      body: '{"got":"{\\"a\\":1}"}',
    });
    expect((await post('{}', { agent })).reused).toBe(true);
  });

  it.each([
    ['another path', { path: '/metrics' }, 404],
    ['another method', { method: 'PUT' }, 405],
    ['another type', { type: 'text/plain' }, 415],
    ['no type', { type: '' }, 415],
    ['type with parameters', { type: 'application/json; charset=utf-8' }, 200],
  ])('takes only what the API server sends: %s', async (_, options, status) => {
    await start(async () => ({}));
    expect((await post('{}', options)).status).toBe(status);
  });

  it('answers 400 to a body the reviewer calls malformed, and lives on', async () => {
    await start(async () => {
      throw new ControllerError('ApiReply', 'AdmissionReview: the body is not JSON');
    });
    expect(await post('{')).toMatchObject({ status: 400, body: 'AdmissionReview: the body is not JSON\n' });
    expect((await post('{')).status).toBe(400);
  });

  it('answers 500 to a bug, and lives on', async () => {
    await start(async () => {
      throw new Error('a bug');
    });
    expect((await post('{}')).status).toBe(500);
    expect((await post('{}')).status).toBe(500);
  });

  it('speaks no TLS older than 1.2, and no plain HTTP', async () => {
    await start(async () => ({}));
    await expect(
      post('{}', { agent: client(first, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }) }),
    ).rejects.toThrow();
    expect(await plainly('GET / HTTP/1.1\r\n\r\n')).not.toContain('HTTP/1.1 2');
  });

  it('gives new connections a new certificate, while those under load go on', async () => {
    await start(async () => ({}));
    const agent = client();
    const oldTrust = { maxSockets: 4 };
    const loaded = client(first, oldTrust);
    const statuses: number[] = [];
    const enough = new AbortController();
    const load = Array.from({ length: 4 }, async () => {
      while (!enough.signal.aborted) statuses.push((await post('{}', { agent: loaded })).status);
    });
    expect((await post('{}', { agent })).status).toBe(200);
    server.useCertificate(second);
    const before = statuses.length;
    expect((await post('{}', { agent: client(second) })).status).toBe(200);
    await expect(post('{}', { agent: client(first) })).rejects.toThrow('certificate');
    // Kept from before: the same socket, not a new handshake.
    expect(await post('{}', { agent })).toMatchObject({ status: 200, reused: true });
    while (statuses.length < before + 50) await new Promise(setImmediate);
    enough.abort();
    await Promise.all(load);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('finishes what is under way when it closes, and asks its clients to leave', async () => {
    const begun = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    await start(async () => {
      begun.resolve();
      await held.promise;
      return { done: true };
    });
    const answer = post('{}', { agent: client() });
    await begun.promise;
    server.turnAway();
    const closed = server.close();
    await expect(post('{}')).rejects.toThrow('ECONNREFUSED');
    held.resolve();
    expect(await answer).toMatchObject({ status: 200, body: '{"done":true}' });
    await closed;
  });

  it('says connection: close once it is leaving', async () => {
    await start(async () => ({}));
    expect((await post('{}', { agent: client() })).connection).toBe('keep-alive');
    server.turnAway();
    expect((await post('{}', { agent: client() })).connection).toBe('close');
  });
});
