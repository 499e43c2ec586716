import { createServer, type Server, type ServerResponse } from 'node:http';
import { ControllerError, errnoOf, messageOf } from '../errors.ts';
import type { Metrics } from './metrics.ts';

/** What the probes of kubelet ask for. */
export interface Probed {
  live(): boolean;
  /** What is still missing; empty means ready. */
  missing(): readonly string[];
}

/** `/metrics`, `/healthz`, `/readyz`. GET and HEAD only, no bodies read, short timeouts: it listens on the pod's network. */
export function serveTelemetry(options: {
  readonly port: number;
  readonly metrics: Metrics;
  readonly health: Probed;
}): Promise<Server> {
  const server = createServer(
    { requestTimeout: 5_000, headersTimeout: 5_000, maxHeaderSize: 8_192 },
    (request, response) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') return reply(response, 405, 'only GET\n');
      const path = (request.url ?? '').split('?')[0];
      if (path === '/healthz') return healthz(response, options.health);
      if (path === '/readyz') return readyz(response, options.health);
      if (path === '/metrics') return void metrics(response, options.metrics);
      return reply(response, 404, 'there are /metrics, /healthz and /readyz\n');
    },
  );
  server.maxConnections = 64;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const hint = errnoOf(error) === 'EADDRINUSE' ? 'Choose another --metrics-port.' : 'Check --metrics-port.';
      reject(
        new ControllerError('Usage', `cannot listen on port ${options.port}: ${messageOf(error)}`, {
          hint,
          cause: error,
        }),
      );
    });
    server.listen({ port: options.port, host: '::', ipv6Only: false }, () => resolve(server));
  });
}

function healthz(response: ServerResponse, health: Probed): void {
  if (health.live()) reply(response, 200, 'ok\n');
  else reply(response, 503, 'the main loop does not come round\n');
}

function readyz(response: ServerResponse, health: Probed): void {
  const missing = health.missing();
  if (missing.length === 0) reply(response, 200, 'ok\n');
  else reply(response, 503, `not yet: ${missing.join(', ')}\n`);
}

async function metrics(response: ServerResponse, source: Metrics): Promise<void> {
  try {
    const { contentType, text } = await source.render();
    response.writeHead(200, { 'content-type': contentType }).end(text);
  } catch (error: unknown) {
    reply(response, 500, `${messageOf(error)}\n`);
  }
}

function reply(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
}
