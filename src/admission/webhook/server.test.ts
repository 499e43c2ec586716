import { Agent, request as httpsRequest } from 'node:https';
import { connect as tcpConnect, type Socket } from 'node:net';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ControllerError } from '../../errors.ts';
import type { CertificatePems } from './certificate.ts';
import { makeCertificate } from './make-certificate.ts';
import { recordingLog } from './recording.ts';
import { serveWebhook, type WebhookServer } from './server.ts';
import { SERVER_LIMITS, type ServerLimits } from './server-limits.ts';

const DNS_NAME = 'webhook.own.svc';
let first: CertificatePems;
let second: CertificatePems;
let server: WebhookServer;
let counted: string[];
let agents: Agent[];

beforeAll(async () => {
  [first, second] = await Promise.all([fresh(), fresh()]);
});
beforeEach(() => {
  counted = [];
  agents = [];
});
afterEach(async () => {
  for (const agent of agents) agent.destroy();
  await server.close();
});

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

describe('bounds', () => {
  it('of one body, announced or not', async () => {
    await start(async () => ({}), { body: { ...SERVER_LIMITS.body, bytesMax: 1_000 } });
    expect((await post('x'.repeat(1_000))).status).toBe(200);
    expect(await post('x'.repeat(1_001))).toMatchObject({ status: 413 });
    expect((await post('x'.repeat(100_000), { chunked: true })).status).toBe(413);
    expect(counted).toContain('malformed');
  });

  it('of all bodies together', async () => {
    await start(async () => ({}), { body: { ...SERVER_LIMITS.body, totalBytesMax: 10_000 } });
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

  it('of large bodies: one at a time, and small ones pass by', async () => {
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
    await start(review, { reviewsMax: 2 });
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
    await start(async () => ({}), { connectionsPerAddressMax: 3 });
    const taken = [await opened(), await opened(), await opened()];
    await expect(post('{}')).rejects.toThrow();
    for (const socket of taken) socket.destroy();
    await until(async () => (await post('{}')).status === 200);
  });

  it('leave room for what the API server sends: a pod of a megabyte and a half', async () => {
    await start(async (body) => ({ length: body.length }));
    const body = 'x'.repeat(1_500_000);
    expect(await post(body)).toMatchObject({ status: 200, body: '{"length":1500000}' });
  });
});

async function start(review: (body: string) => Promise<object>, limits: Partial<ServerLimits> = {}): Promise<void> {
  server = await serveWebhook({
    port: 0,
    host: '127.0.0.1',
    review,
    log: recordingLog(),
    metrics: { count: (_, labels) => void counted.push(labels?.['result'] ?? ''), observe: () => undefined },
    nowMs: () => performance.now(),
    limits: { ...SERVER_LIMITS, ...limits },
  });
  server.useCertificate(first);
}

function fresh(): Promise<CertificatePems> {
  return makeCertificate({ dnsName: DNS_NAME, lifetimeMs: 3_600_000, nowMs: Date.now() });
}

function client(trusts: CertificatePems = first, options: object = {}): Agent {
  const agent = new Agent({ ca: [...trusts.authorities], servername: DNS_NAME, keepAlive: true, ...options });
  agents.push(agent);
  return agent;
}

interface PostOptions {
  readonly agent?: Agent;
  readonly path?: string;
  readonly method?: string;
  readonly type?: string;
  readonly chunked?: boolean;
}

function post(
  body: string,
  { agent, path = '/gate', method = 'POST', type = 'application/json', chunked = false }: PostOptions = {},
) {
  return new Promise<{ status: number; body: string; reused: boolean; connection: string | undefined }>(
    (resolve, reject) => {
      const headers = {
        ...(type === '' ? {} : { 'content-type': type }),
        ...(chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': body.length }),
      };
      const options = {
        host: '127.0.0.1',
        port: server.port,
        path,
        method,
        headers,
        agent: agent ?? client(first, { keepAlive: false }),
      };
      const sent = httpsRequest(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: text,
            reused: sent.reusedSocket,
            connection: response.headers.connection,
          }),
        );
        response.on('error', reject);
      });
      sent.on('error', reject);
      sent.end(body);
    },
  );
}

function head(length: number): string {
  return `POST /gate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
}

function opened(): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: server.port,
      ca: [...first.authorities],
      servername: DNS_NAME,
    });
    socket.once('secureConnect', () => resolve(socket));
    socket.on('error', reject);
  });
}

function closedBy(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
    socket.resume();
  });
}

/** Asks again and again, as fast as answers come; a refused connection counts as not yet. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition().catch(() => false)));
}

function plainly(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = tcpConnect(server.port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
    socket.write(text);
  });
}
