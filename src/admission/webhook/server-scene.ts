import { Agent, request as httpsRequest } from 'node:https';
import { connect as tcpConnect, type Socket } from 'node:net';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, beforeEach } from 'vitest';
import type { CertificatePems } from './certificate.ts';
import { makeCertificate } from './make-certificate.ts';
import { recordingLog } from './recording.ts';
import { serveWebhook, type WebhookServer } from './server.ts';
import { SERVER_LIMITS, type ServerLimits } from './server-limits.ts';

/** A real server per test, and clients that speak to it over TLS as the API server does. */
const DNS_NAME = 'webhook.own.svc';
export let first: CertificatePems;
export let second: CertificatePems;
export let server: WebhookServer;
/** Results of reviews, as the metric counts them. */
export let counted: string[];
let agents: Agent[];

/** Makes and removes them around each test of the file that calls it. */
export function serverScene(): void {
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
}

export async function start(
  review: (body: string) => Promise<object>,
  limits: Partial<ServerLimits> = {},
): Promise<void> {
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

export function client(trusts: CertificatePems = first, options: object = {}): Agent {
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

export function post(
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

export function head(length: number): string {
  return `POST /gate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
}

export function opened(): Promise<TLSSocket> {
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

export function closedBy(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
    socket.resume();
  });
}

/** Asks again and again, as fast as answers come; a refused connection counts as not yet. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition().catch(() => false)));
}

export function plainly(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = tcpConnect(server.port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
    socket.write(text);
  });
}
