import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** One request as the server saw it; the test answers it. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** Answers with JSON and ends. */
  reply(status: number, json: unknown, headers?: Record<string, string>): void;
  /** Answers with text as it is, and ends. */
  text(status: number, text: string): void;
  /** Opens a watch: headers now, lines as they come. */
  watch(): WatchStream;
  /** Resets the connection. */
  reset(): void;
}

export interface WatchStream {
  send(type: string, object: unknown): void;
  raw(text: string): void;
  end(): void;
  reset(): void;
}

export interface FakeApiServer {
  readonly url: URL;
  /** The next request, in order of arrival. */
  next(): Promise<Exchange>;
  /** Connections that were ever opened. */
  connections(): number;
  close(): Promise<void>;
}

/** An API server for the ways to fail that a real one cannot be made to show; what a real one does is tested on the lab's. */
export async function fakeApiServer(): Promise<FakeApiServer> {
  const arrived: Exchange[] = [];
  const awaited: ((exchange: Exchange) => void)[] = [];
  const sockets = new Set<Socket>();
  let opened = 0;
  const server = createServer((request, response) => {
    void receive(request, response).then((exchange) => {
      const waiting = awaited.shift();
      if (waiting === undefined) arrived.push(exchange);
      else waiting(exchange);
    });
  });
  server.on('connection', (socket) => {
    opened += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    next: () => {
      const first = arrived.shift();
      if (first !== undefined) return Promise.resolve(first);
      return new Promise((resolve) => {
        awaited.push(resolve);
      });
    },
    connections: () => opened,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

async function receive(request: IncomingMessage, response: ServerResponse): Promise<Exchange> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const url = new URL(request.url ?? '/', 'http://fake');
  return {
    method: request.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    headers: request.headers,
    body: Buffer.concat(chunks).toString('utf8'),
    reply: (status, json, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(json));
    },
    text: (status, text) => void response.writeHead(status).end(text),
    watch: () => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      return {
        send: (type, object) => void response.write(`${JSON.stringify({ type, object })}\n`),
        raw: (text) => void response.write(text),
        end: () => void response.end(),
        reset: () => void request.socket.resetAndDestroy(),
      };
    },
    reset: () => void request.socket.resetAndDestroy(),
  };
}
