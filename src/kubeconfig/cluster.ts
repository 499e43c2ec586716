import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { statusOf } from '../kube/api-errors.ts';
import type { OpenOptions } from '../kube/connections.ts';
import { parseList } from '../kube/objects.ts';
import { type ApiRequest, createTransport, type Transport } from '../kube/request.ts';
import { explained } from './failure.ts';
import type { Login } from './login.ts';

/** A cluster that one has logged in to. Everything throws `ApiUnavailable`, `ApiRefused`, `ApiReply` or `LoginFailed`, naming server and context. */
export interface Cluster {
  readonly login: Login;
  /** For list/watches. */
  readonly transport: Transport;
  /** One object, or any other document of the API. */
  get(asked: Asked): Promise<unknown>;
  /** As `get`; undefined where there is none of that name. */
  find(asked: Asked): Promise<unknown>;
  /** All pages of a list, or those with the first `itemsMax` objects; each object is cut down by `read` before the next page comes. */
  list<T>(asked: Asked, read: (object: unknown) => readonly T[], itemsMax?: number): Promise<Listed<T>>;
  /** Sends an object and gives the answer. */
  create(asked: Asked, object: object): Promise<unknown>;
  close(): void;
}

export interface Asked {
  readonly path: string;
  /** For messages: `pods`. */
  readonly resource: string;
  readonly query?: Readonly<Record<string, string>>;
}

export interface Listed<T> {
  readonly items: readonly T[];
  /** True when there are more than were asked for. */
  readonly more: boolean;
}

export interface ClusterOptions {
  /** Until the whole answer to one request is there. */
  readonly requestTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** As kubectl: a page of pods is some MB. */
const PAGE_ITEMS = 500;

/** Speaks to the API server of a login. Connects with the first request. */
export function openCluster(login: Login, { requestTimeoutMs: timeoutMs, signal }: ClusterOptions): Cluster {
  const transport = transportOf(login);
  const json = (request: Pick<ApiRequest, 'method' | 'verb' | 'body'>, asked: Asked) =>
    transport.json({ ...request, ...asked, timeoutMs }, signal);
  const get = (asked: Asked) => json({ method: 'GET', verb: 'get' }, asked);
  return {
    login,
    transport,
    get,
    find: async (asked) => {
      try {
        return await get(asked);
      } catch (error: unknown) {
        if (statusOf(error) === 404) return undefined;
        throw error;
      }
    },
    list: async <T>(asked: Asked, read: (object: unknown) => readonly T[], itemsMax = Number.POSITIVE_INFINITY) => {
      const items: T[] = [];
      let seen = 0;
      let next: string | undefined;
      do {
        const query = { ...asked.query, limit: String(PAGE_ITEMS), ...(next === undefined ? {} : { continue: next }) };
        const page = parseList(await json({ method: 'GET', verb: 'list' }, { ...asked, query }));
        for (const { raw } of page.items) items.push(...read(raw));
        seen += page.items.length;
        next = page.next;
      } while (next !== undefined && seen < itemsMax);
      return { items, more: next !== undefined };
    },
    create: (asked, object) =>
      json({ method: 'POST', verb: 'create', body: { contentType: 'application/json', json: object } }, asked),
    close: () => transport.close(),
  };
}

/** The agent's transport, with a person's way in. A 401 is tried once more: a plugin's token may have run out since. */
function transportOf(login: Login): Transport {
  const transport = createTransport({
    // Only the path counts: the connection knows where the server is.
    baseUrl: new URL(login.server.origin),
    // They come with the connection, which also knows which were refused.
    credentials: { current: () => ({ token: '', ca: '' }), refresh: () => undefined },
    observe: () => undefined,
    connections: { open: (url, options) => send(url, options, login), close: () => undefined },
  });
  async function ask<T>(
    request: ApiRequest,
    signal: AbortSignal,
    attempt: (request: ApiRequest) => Promise<T>,
  ): Promise<T> {
    // Before the clock of the request runs: a person at a browser takes longer.
    await unlessAborted(login.enter(), signal);
    return attempt(withoutCache(request));
  }
  async function twice<T>(
    request: ApiRequest,
    signal: AbortSignal,
    attempt: (request: ApiRequest) => Promise<T>,
  ): Promise<T> {
    try {
      return await ask(request, signal, attempt).catch((error: unknown) => {
        if (statusOf(error) !== 401) throw error;
        return ask(request, signal, attempt);
      });
    } catch (error: unknown) {
      throw explained(error, login);
    }
  }
  return {
    json: (request, signal) => twice(request, signal, (wanted) => transport.json(wanted, signal)),
    write: (request, signal) => twice(request, signal, (wanted) => transport.write(wanted, signal)),
    stream: (request, signal) => twice(request, signal, (wanted) => transport.stream(wanted, signal)),
    close: () => transport.close(),
  };
}

/** A login cannot be called back; but nobody has to wait for it any longer. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/**
 * The agent lists its node's pods from the API server's cache, which gives all at once whatever the limit. Of a whole cluster that could
 * be more than anybody can hold: a list without a version comes in pages.
 */
function withoutCache(request: ApiRequest): ApiRequest {
  if (request.verb !== 'list' || request.query?.['limit'] === undefined) return request;
  const { resourceVersion, ...query } = request.query;
  return resourceVersion === '0' ? { ...request, query } : request;
}

async function send(
  url: URL,
  { method, headers, payload, signal }: OpenOptions,
  login: Login,
): Promise<IncomingMessage> {
  const { options, generation } = await login.enter();
  signal.throwIfAborted();
  const { server } = login;
  const target = new URL(server.pathname.replace(/\/$/, '') + url.pathname + url.search, server);
  return new Promise((resolve, reject) => {
    const request = target.protocol === 'http:' ? httpRequest : httpsRequest;
    const sent = request(
      target,
      { ...options, method, headers: { ...headers, ...options.headers }, signal },
      (answer) => {
        if (answer.statusCode === 401) login.forget(generation);
        resolve(answer);
      },
    );
    sent.on('error', reject);
    sent.end(payload);
  });
}
