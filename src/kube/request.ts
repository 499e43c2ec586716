import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { ControllerError, isControllerError, messageOf } from '../errors.ts';
import type { Credentials } from './credentials.ts';
import type { RequestObserver } from './types.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** list, watch, patch, create: for metrics. */
  readonly verb: string;
  readonly resource: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: { readonly contentType: string; readonly json: unknown };
  /** Until the whole answer is there; for a watch, until its headers are. */
  readonly timeoutMs: number;
}

/** Sends requests with the current credentials over kept connections. */
export interface Transport {
  /** The parsed JSON of a 2xx answer. Throws `ApiUnavailable`, `ApiRefused` or `ApiReply` with `fields.status`. */
  json(request: ApiRequest, signal: AbortSignal): Promise<unknown>;
  /** The open body of a 2xx answer. Same errors. */
  stream(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage>;
  close(): void;
}

/** A node's pods are a few MB at most; a list beyond this is not one node's. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;
const ERROR_BODY_BYTES_MAX = 64 * 1024;

export function createTransport(options: {
  readonly baseUrl: URL;
  readonly credentials: Credentials;
  readonly observe: RequestObserver;
}): Transport {
  const plain = new HttpAgent({ keepAlive: true });
  let secure: { readonly ca: string; readonly agent: HttpsAgent } | undefined;

  /** A new CA means a new pool: kept connections were checked against the old one. */
  function agentFor(ca: string): HttpsAgent {
    if (secure?.ca !== ca) {
      secure?.agent.destroy();
      secure = { ca, agent: new HttpsAgent({ keepAlive: true, ca }) };
    }
    return secure.agent;
  }

  function open(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const { token, ca } = options.credentials.current();
    const url = new URL(request.path, options.baseUrl);
    for (const [key, value] of Object.entries(request.query ?? {})) url.searchParams.set(key, value);
    const payload = request.body === undefined ? undefined : JSON.stringify(request.body.json);
    const headers = {
      accept: 'application/json',
      'user-agent': 'istio-pod-network-controller',
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...(request.body === undefined ? {} : { 'content-type': request.body.contentType }),
    };
    return new Promise((resolve, reject) => {
      const common = { method: request.method, headers, signal };
      const sent =
        url.protocol === 'http:'
          ? httpRequest(url, { ...common, agent: plain }, resolve)
          : httpsRequest(url, { ...common, agent: agentFor(ca) }, resolve);
      sent.on('error', reject);
      sent.end(payload);
    });
  }

  /** Opens with a deadline, counts the outcome, turns everything but 2xx into a typed error. */
  async function opened(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    let code = 'error';
    try {
      const response = await open(request, signal);
      const status = response.statusCode ?? 0;
      code = String(status);
      if (status >= 200 && status < 300) return response;
      const text = (await readBody(response, ERROR_BODY_BYTES_MAX)).toString('utf8');
      if (status === 401) options.credentials.refresh();
      throw statusError(request, status, text, response.headers['retry-after']);
    } catch (error: unknown) {
      throw isControllerError(error) ? error : unavailable(request, error);
    } finally {
      options.observe({ verb: request.verb, resource: request.resource, code });
    }
  }

  return {
    json: async (request, signal) => {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(request.timeoutMs)]);
      const response = await opened(request, deadline);
      try {
        return parseJson(request, await readBody(response, BODY_BYTES_MAX));
      } catch (error: unknown) {
        throw isControllerError(error) ? error : unavailable(request, error);
      }
    },
    stream: async (request, signal) => {
      // The deadline covers the headers only: it must not end a watch that is under way.
      const patience = new AbortController();
      const timer = setTimeout(
        () => patience.abort(new Error(`no answer within ${request.timeoutMs} ms`)),
        request.timeoutMs,
      );
      try {
        return await opened(request, AbortSignal.any([signal, patience.signal]));
      } finally {
        clearTimeout(timer);
      }
    },
    close: () => {
      plain.destroy();
      secure?.agent.destroy();
    },
  };
}

/** HTTP status of an error that came from the server, else undefined. */
export function statusOf(error: unknown): number | undefined {
  if (!isControllerError(error)) return undefined;
  const status = error.fields['status'];
  return typeof status === 'number' ? status : undefined;
}

/** What the server asked for with Retry-After, if it did. */
export function retryAfterMsOf(error: unknown): number | undefined {
  if (!isControllerError(error)) return undefined;
  const afterMs = error.fields['retryAfterMs'];
  return typeof afterMs === 'number' ? afterMs : undefined;
}

async function readBody(response: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    bytes += buffer.length;
    if (bytes > bytesMax) {
      response.destroy();
      throw new ControllerError('ApiReply', `the API server sent more than ${bytesMax} bytes`);
    }
    chunks.push(buffer);
  }
  return Buffer.concat(chunks);
}

function parseJson(request: ApiRequest, body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error: unknown) {
    throw new ControllerError('ApiReply', `${request.verb} ${request.resource}: the answer is not JSON`, {
      cause: error,
    });
  }
}

function statusError(
  request: ApiRequest,
  status: number,
  body: string,
  retryAfter: string | undefined,
): ControllerError {
  const refused = status === 401 || status === 403;
  const busy = status === 429 || status >= 500;
  const afterMs = retryAfterMs(retryAfter);
  return new ControllerError(
    refused ? 'ApiRefused' : busy ? 'ApiUnavailable' : 'ApiReply',
    `${request.verb} ${request.resource}: the API server answered ${status}: ${statusMessage(body)}`,
    {
      fields: { status, ...(afterMs === undefined ? {} : { retryAfterMs: afterMs }) },
      ...(status === 403 ? { hint: "The agent's ClusterRole must allow this; the chart's does." } : {}),
    },
  );
}

/** Retry-After in seconds; the API server never sends a date. Bounded, so that a wrong value cannot silence the agent. */
function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined || !/^[0-9]{1,6}$/.test(header)) return undefined;
  return Math.min(Number(header) * 1_000, 120_000);
}

function statusMessage(body: string): string {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string')
      return value.message;
  } catch {
    // Not a Status object: a proxy in between, or a plain text answer.
  }
  return body.slice(0, 200);
}

function unavailable(request: ApiRequest, error: unknown): ControllerError {
  return new ControllerError('ApiUnavailable', `${request.verb} ${request.resource}: ${messageOf(error)}`, {
    cause: error,
  });
}
