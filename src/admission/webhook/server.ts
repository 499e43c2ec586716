import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { ControllerError, errnoOf, isControllerError, messageOf } from '../../errors.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { createBodyReader } from './request-body.ts';
import type { Reviewer } from './reviewer.ts';
import { limitConnections, SERVER_LIMITS, type ServerLimits } from './server-limits.ts';
import { createShares } from './shares.ts';
import type { Certificate } from './types.ts';

export interface WebhookServer {
  readonly port: number;
  /** New connections get this certificate; those that are open keep theirs and go on. */
  useCertificate(certificate: Pick<Certificate, 'chain' | 'key'>): void;
  /** From now on every answer asks its client to connect anew: elsewhere, once the endpoints have changed. */
  turnAway(): void;
  /** Takes no new connections, finishes the reviews under way (bounded by the request timeout), and resolves when all are closed. */
  close(): Promise<void>;
}

export interface WebhookServerOptions {
  readonly port: number;
  readonly host?: string;
  readonly review: Reviewer;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'count' | 'observe'>;
  readonly nowMs: () => number;
  readonly limits?: ServerLimits;
}

/** `POST /gate` over TLS. Until it has a certificate every handshake fails. Throws `Usage` if it cannot listen. */
export async function serveWebhook(options: WebhookServerOptions): Promise<WebhookServer> {
  const { limits = SERVER_LIMITS, log } = options;
  let leaving = false;
  const handle = requestHandler(options, limits, () => leaving);
  const server = createServer(
    {
      minVersion: 'TLSv1.2',
      handshakeTimeout: limits.headersTimeoutMs,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      // Timeouts are looked for this often; the default of 30 s would make them half a minute longer.
      connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
      maxHeaderSize: 16 * 1024,
    },
    (request, response) => void handle(request, response),
  );
  server.on('connection', limitConnections(limits));
  // Port scanners, and API servers that do not trust us yet: worth a line for whoever looks, not an alarm.
  server.on('tlsClientError', (error) => log.debug('TLS handshake failed', { error: messageOf(error) }));
  await listen(server, options);
  server.on('error', (error) => log.error('webhook server', { error: messageOf(error) }));
  return {
    port: (server.address() as AddressInfo).port,
    useCertificate: ({ chain, key }) => server.setSecureContext({ cert: chain, key, minVersion: 'TLSv1.2' }),
    turnAway: () => {
      leaving = true;
    },
    close: () => closed(server, limits),
  };
}

type HttpsServer = ReturnType<typeof createServer>;

function listen(server: HttpsServer, { port, host = '::' }: WebhookServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const hint = errnoOf(cause) === 'EADDRINUSE' ? 'Choose another --webhook-port.' : 'Check --webhook-port.';
      reject(new ControllerError('Usage', `cannot listen on port ${port}: ${messageOf(cause)}`, { hint, cause }));
    });
    server.listen({ port, host, ipv6Only: false }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function closed(server: HttpsServer, limits: ServerLimits): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), limits.requestTimeoutMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** A request whose body has come. */
interface Whole {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: string;
  readonly startedMs: number;
}

function requestHandler(options: WebhookServerOptions, limits: ServerLimits, isLeaving: () => boolean) {
  const { review, log, metrics, nowMs } = options;
  const bodies = createBodyReader(limits.body);
  const reviews = createShares(limits.reviews);

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const startedMs = nowMs();
    const wrong = whyNotTaken(request);
    if (wrong !== undefined) return turnDown(response, wrong.status, wrong.message);
    try {
      const refusal = await bodies.read(request, (body) => answerReview({ request, response, body, startedMs }));
      if (refusal !== undefined) turnDown(response, refusal.status, refusal.message);
    } catch (error: unknown) {
      // The client went away, or took too long for its body: there is nobody to answer.
      if (request.errored !== null) return void response.destroy();
      const malformed = isControllerError(error, 'ApiReply');
      if (!malformed) log.error('a review failed', { error: messageOf(error) });
      turnDown(response, malformed ? 400 : 500, messageOf(error));
    }
  };

  async function answerReview({ request, response, body, startedMs }: Whole): Promise<void> {
    const address = request.socket.remoteAddress ?? '';
    if (!reviews.take(address, 1)) return turnDown(response, 503, 'too many reviews at once');
    try {
      const reviewed = JSON.stringify(await review(body));
      // Asked now, not when the request came: a connection that is kept would hold up the end of the server.
      if (isLeaving()) response.setHeader('connection', 'close');
      answer(response, 200, 'application/json', reviewed);
      metrics.observe('webhookSeconds', (nowMs() - startedMs) / 1_000);
    } finally {
      reviews.give(address, 1);
    }
  }

  /** A body that has not been read is not waited for: the connection ends with the answer. */
  function turnDown(response: ServerResponse, status: number, message: string): void {
    metrics.count('webhookReviews', { result: status === 503 ? 'busy' : 'malformed' });
    if (response.headersSent) return void response.destroy();
    response.setHeader('connection', 'close');
    answer(response, status, 'text/plain; charset=utf-8', `${message}\n`);
  }
}

function whyNotTaken(request: IncomingMessage): { readonly status: number; readonly message: string } | undefined {
  // The API server adds ?timeout=5s.
  if ((request.url ?? '').split('?')[0] !== '/gate') return { status: 404, message: 'there is POST /gate' };
  if (request.method !== 'POST') return { status: 405, message: 'only POST' };
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  return type === 'application/json' ? undefined : { status: 415, message: 'only application/json' };
}

function answer(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) }).end(text);
}
