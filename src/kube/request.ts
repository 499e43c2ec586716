import type { IncomingMessage } from 'node:http';
import { ControllerError, isControllerError } from '../errors.ts';
import { textWithin } from '../text-within.ts';
import { type Asked, statusError, unavailable } from './api-errors.ts';
import { type Connections, createConnections } from './connections.ts';
import type { Credentials } from './credentials.ts';
import type { RequestObserver } from './types.ts';

export interface ApiRequest extends Asked {
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: { readonly contentType: string; readonly json: unknown };
  /** Until the whole answer is there; for a watch, until its headers are. */
  readonly timeoutMs: number;
}

/** Sends requests with the current credentials over kept connections. All throw `ApiUnavailable`, `ApiRefused` or `ApiReply`, with `fields.status` if the server answered. */
export interface Transport {
  /** The parsed JSON of a 2xx answer. */
  json(request: ApiRequest, signal: AbortSignal): Promise<unknown>;
  /** Ends when the server has said 2xx; what it sends back is not read. */
  write(request: ApiRequest, signal: AbortSignal): Promise<void>;
  /** The open body of a 2xx answer. */
  stream(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage>;
  close(): void;
}

/** A node's pods are a few MB at most; a list beyond this is not one node's. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;
/** Of an answer that is not needed: enough for any object to pass so that its connection can be used again. */
const UNREAD_BYTES_MAX = 4 * 1024 * 1024;
const ERROR_BODY_BYTES_MAX = 64 * 1024;

export function createTransport(options: {
  readonly baseUrl: URL;
  readonly credentials: Credentials;
  readonly observe: RequestObserver;
  /** Where a token and a CA are not all it takes to connect: client certificates, proxies. */
  readonly connections?: Connections;
}): Transport {
  const connections = options.connections ?? createConnections();

  function open(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const { token, ca } = options.credentials.current();
    const url = new URL(request.path, options.baseUrl);
    for (const [key, value] of Object.entries(request.query ?? {})) url.searchParams.set(key, value);
    const headers = {
      accept: 'application/json',
      'user-agent': 'istio-pod-network-controller',
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...(request.body === undefined ? {} : { 'content-type': request.body.contentType }),
    };
    const payload = request.body === undefined ? undefined : JSON.stringify(request.body.json);
    return connections.open(url, { method: request.method, headers, payload, ca, signal });
  }

  /** Counts the outcome, turns everything but 2xx into a typed error. */
  async function opened(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    let code = 'error';
    try {
      const response = await open(request, signal);
      const status = response.statusCode ?? 0;
      code = String(status);
      if (status >= 200 && status < 300) return response;
      if (status === 401) options.credentials.refresh();
      const body = await readStart(response, ERROR_BODY_BYTES_MAX);
      throw statusError(request, { status, body, retryAfter: response.headers['retry-after'] });
    } catch (error: unknown) {
      throw typed(request, error);
    } finally {
      options.observe({ verb: request.verb, resource: request.resource, code });
    }
  }

  return {
    json: (request, signal) =>
      within(request.timeoutMs, signal, async (deadline) => {
        const response = await opened(request, deadline);
        try {
          return parseJson(request, await readWhole(request, response));
        } catch (error: unknown) {
          throw typed(request, error);
        }
      }),
    write: (request, signal) =>
      within(request.timeoutMs, signal, async (deadline) => {
        await passOver(await opened(request, deadline));
      }),
    // The deadline covers the headers only: it must not end a watch that is under way.
    stream: (request, signal) => within(request.timeoutMs, signal, (deadline) => opened(request, deadline)),
    close: () => connections.close(),
  };
}

/** Does `work` with a signal that aborts with `signal`, or once `timeoutMs` have passed and `work` has not ended. */
async function within<T>(timeoutMs: number, signal: AbortSignal, work: (deadline: AbortSignal) => Promise<T>) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    return await work(AbortSignal.any([signal, patience.signal]));
  } finally {
    clearTimeout(timer);
  }
}

function typed(request: ApiRequest, error: unknown): ControllerError {
  if (isControllerError(error)) return error;
  // "The operation was aborted" says nothing; why it was does.
  const aborted = error instanceof Error && error.name === 'AbortError' && error.cause instanceof Error;
  return unavailable(request, aborted ? error.cause : error);
}

async function readWhole(request: ApiRequest, response: IncomingMessage): Promise<string> {
  const text = await textWithin(response, BODY_BYTES_MAX);
  if (text !== undefined) return text;
  throw new ControllerError(
    'ApiReply',
    `${request.verb} ${request.resource}: the API server sent more than ${BODY_BYTES_MAX} bytes`,
  );
}

/** Lets an answer pass that nobody reads: only then is its connection free for the next request. */
async function passOver(response: IncomingMessage): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of response) {
      bytes += Buffer.isBuffer(chunk) ? chunk.length : 0;
      if (bytes > UNREAD_BYTES_MAX) return;
    }
  } catch {
    // The write was confirmed by the status; a connection that breaks after it takes nothing back.
  }
}

/** What there is of a body up to a size. It is an addition to the status, which has been received: no failure to read it changes that. */
async function readStart(response: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response) {
      const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
      bytes += buffer.length;
      if (bytes > bytesMax) break;
      chunks.push(buffer);
    }
  } catch {
    // The connection broke after the status: the status stands.
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(request: ApiRequest, body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error: unknown) {
    throw new ControllerError('ApiReply', `${request.verb} ${request.resource}: the answer is not JSON`, {
      cause: error,
    });
  }
}
