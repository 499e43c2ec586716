import { isDeepStrictEqual } from 'node:util';
import { type Exchange, fakeApiServer, type WatchStream } from '../../kube/fake-api-server.ts';
import { LIST_WATCH_TIMES } from '../../kube/list-watch-state.ts';
import { createTransport } from '../../kube/request.ts';
import { asList, asObject, asString, type JsonObject } from '../json.ts';
import { type ClusterApi, CONFIGURATIONS, createClusterApi, secretsPath } from './cluster-api.ts';

export const NAMESPACE = 'own';
export const SECRETS = secretsPath(NAMESPACE);
export const NAMESPACES = '/api/v1/namespaces';
export { CONFIGURATIONS };

/** An API server in memory, for what the webhook asks of one: versions, preconditions, watches, and just enough of server-side apply. */
export interface FakeCluster {
  /** A client of its own connections; `end` cuts it off. */
  client(): { readonly api: ClusterApi; end(): void };
  object(collection: string, name: string): JsonObject | undefined;
  /** What an administrator does. */
  put(collection: string, name: string, object: JsonObject): void;
  remove(collection: string, name: string): void;
  /** Writes so far, as `METHOD path status`. */
  readonly writes: readonly string[];
  /** Called before a write is judged, with the number of that write: to let another one slip in between. */
  beforeWrite: (exchange: Exchange) => Promise<void> | void;
  /** Answers requests for which it gives a status with that status. */
  fail: (exchange: Exchange) => number | undefined;
  /** Resolves when `condition` holds; looked at after every request and every change. */
  until(condition: () => boolean): Promise<void>;
  close(): Promise<void>;
}

interface Event {
  readonly collection: string;
  readonly version: number;
  readonly type: string;
  readonly object: JsonObject;
}

export async function fakeCluster(): Promise<FakeCluster> {
  const server = await fakeApiServer();
  const objects = new Map<string, Map<string, JsonObject>>(
    [SECRETS, NAMESPACES, CONFIGURATIONS].map((path) => [path, new Map()]),
  );
  const events: Event[] = [];
  const watches: { collection: string; name: string | undefined; stream: WatchStream }[] = [];
  const waiting: { condition: () => boolean; resolve: () => void }[] = [];
  const writes: string[] = [];
  const clients: (() => void)[] = [];
  let version = 100;
  let uids = 0;
  const closing = new AbortController();

  function changed(): void {
    for (const one of [...waiting]) if (one.condition()) waiting.splice(waiting.indexOf(one), 1)[0]?.resolve();
  }

  function record(collection: string, type: string, name: string, object: JsonObject): JsonObject {
    version += 1;
    const metadata = { ...asObject(object.metadata), name, resourceVersion: String(version) };
    const stored = { ...object, metadata };
    if (type === 'DELETED') objects.get(collection)?.delete(name);
    else objects.get(collection)?.set(name, stored);
    events.push({ collection, version, type, object: stored });
    for (const watch of watches) {
      if (watch.collection === collection && (watch.name ?? name) === name) watch.stream.send(type, stored);
    }
    changed();
    return stored;
  }

  function put(collection: string, name: string, object: JsonObject): JsonObject {
    const before = objects.get(collection)?.get(name);
    const { uid } = asObject(before?.metadata);
    const metadata = { ...asObject(object.metadata), uid: uid ?? `uid-${(uids += 1)}` };
    return record(collection, before === undefined ? 'ADDED' : 'MODIFIED', name, { ...object, metadata });
  }

  function read(exchange: Exchange, collection: string): void {
    const name = exchange.query.get('fieldSelector')?.replace('metadata.name=', '');
    if (exchange.query.get('watch') === '1') {
      const stream = exchange.watch();
      const from = Number(exchange.query.get('resourceVersion'));
      for (const event of events) {
        const fits =
          event.collection === collection &&
          asObject(event.object.metadata).name === (name ?? asObject(event.object.metadata).name);
        if (fits && event.version > from) stream.send(event.type, event.object);
      }
      watches.push({ collection, name, stream });
      return;
    }
    const items = [...(objects.get(collection)?.entries() ?? [])].flatMap(([key, object]) =>
      name === undefined || name === key ? [object] : [],
    );
    exchange.reply(200, { metadata: { resourceVersion: String(version) }, items });
  }

  /** Status and object that answer a write. */
  function write({ method, path, body, headers }: Exchange): [number, object] {
    const json = asObject(JSON.parse(body));
    if (method === 'POST') {
      const name = asString(asObject(json.metadata).name);
      if (objects.get(path)?.has(name) === true) return [409, { message: 'already exists' }];
      return [201, put(path, name, json)];
    }
    const collection = path.slice(0, path.lastIndexOf('/'));
    const name = path.slice(path.lastIndexOf('/') + 1);
    const before = objects.get(collection)?.get(name);
    const metadata = asObject(json.metadata);
    if (before === undefined)
      return [metadata.uid === undefined ? 404 : 409, { message: 'no existing object was found' }];
    const now = asObject(before.metadata);
    for (const key of ['uid', 'resourceVersion'] as const) {
      if (metadata[key] !== undefined && metadata[key] !== now[key]) return [409, { message: `${key} differs` }];
    }
    const apply = headers['content-type'] === 'application/apply-patch+yaml';
    const after = apply ? applied(before, json) : merged(before, json);
    return [200, isDeepStrictEqual(after, before) ? before : put(collection, name, after)];
  }

  async function serve(): Promise<void> {
    while (!closing.signal.aborted) {
      const exchange = await server.next();
      void (async () => {
        const status = cluster.fail(exchange);
        const isWrite = exchange.method !== 'GET';
        if (status === undefined && isWrite) await cluster.beforeWrite(exchange);
        if (status !== undefined) {
          exchange.reply(status, { message: 'made to fail' });
          if (isWrite) writes.push(`${exchange.method} ${exchange.path} ${status}`);
        } else if (isWrite) {
          const [code, object] = write(exchange);
          writes.push(`${exchange.method} ${exchange.path} ${code}`);
          exchange.reply(code, object);
        } else if (objects.has(exchange.path)) read(exchange, exchange.path);
        else {
          const found = objects.get(NAMESPACES)?.get(exchange.path.slice(NAMESPACES.length + 1));
          exchange.reply(found === undefined ? 404 : 200, found ?? { message: 'not found' });
        }
        changed();
      })();
    }
  }

  const cluster: FakeCluster = {
    writes,
    beforeWrite: () => undefined,
    fail: () => undefined,
    client: () => {
      const stop = new AbortController();
      const credentials = { current: () => ({ token: 'token', ca: '' }), refresh: () => undefined };
      const transport = createTransport({ baseUrl: server.url, credentials, observe: () => undefined });
      const clock = realClock();
      const times = { ...LIST_WATCH_TIMES, firstListSpreadMs: 0, retryFirstMs: 20 };
      const end = () => {
        stop.abort();
        transport.close();
      };
      clients.push(end);
      return { api: createClusterApi({ transport, clock, signal: stop.signal, times }), end };
    },
    object: (collection, name) => objects.get(collection)?.get(name),
    put: (collection, name, object) => void put(collection, name, object),
    remove: (collection, name) => {
      const before = objects.get(collection)?.get(name);
      if (before !== undefined) record(collection, 'DELETED', name, before);
    },
    until: (condition) =>
      new Promise((resolve) => {
        if (condition()) resolve();
        else waiting.push({ condition, resolve });
      }),
    close: async () => {
      closing.abort();
      for (const end of clients) end();
      await server.close();
    },
  };
  void serve();
  return cluster;
}

/** Time as it passes; tests that need another wall clock give their own. */
export function realClock(wallClock = () => new Date()) {
  const sleep = (ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      if (signal.aborted) return resolve();
      const timer = setTimeout(resolve, ms);
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
    });
  return { nowMs: () => performance.now(), wallClock, random: () => 0.5, sleep };
}

/** A merge patch of what is patched here: keys of `data`, and lists as a whole. */
function merged(before: JsonObject, patch: JsonObject): JsonObject {
  const { metadata: _, ...fields } = patch;
  const data = 'data' in patch ? { data: { ...asObject(before.data), ...asObject(patch.data) } } : {};
  return { ...before, ...fields, ...data };
}

/** Server-side apply: our entries are ours, by their names; what others have added to one of them stays, and so do their entries. */
function applied(before: JsonObject, patch: JsonObject): JsonObject {
  const live = asList(before.webhooks).map(asObject);
  const ours = asList(patch.webhooks)
    .map(asObject)
    .map((entry) => {
      const found = live.find(({ name }) => name === entry.name);
      const added = asList(found?.matchConditions).filter(
        (condition) => asObject(condition).name === 'added-by-others',
      );
      return { ...found, ...entry, matchConditions: [...asList(entry.matchConditions), ...added] };
    });
  const others = live.filter(({ name }) => !asString(name).endsWith('.gate.pod-network-controller.istio.io'));
  return { ...before, webhooks: [...ours, ...others] };
}
