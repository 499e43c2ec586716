import type { IncomingMessage } from 'node:http';
import { ControllerError } from '../errors.ts';
import { jsonLines } from './json-lines.ts';
import { type ListedObject, parseList, parseWatchEvent } from './objects.ts';
import { retryAfterMsOf, statusOf, type Transport } from './request.ts';
import type { Clock, ListWatchOptions } from './types.ts';

/** The times of a list/watch; tests shorten them. */
export interface ListWatchTimes {
  readonly listTimeoutMs: number;
  /** Until a watch's headers are there. */
  readonly openTimeoutMs: number;
  /** The server sends a bookmark about once a minute; a connection silent for this long is dead on one side. */
  readonly idleMs: number;
  /** The server is asked to end the watch after this many seconds plus up to as many again, so that agents do not come back in step. */
  readonly serverSeconds: number;
  readonly retryFirstMs: number;
  readonly retryLongestMs: number;
  /** A watch that ends sooner than this counts as a failure: no tight loop against a server that hangs up at once. */
  readonly shortestWatchMs: number;
  /** The first list waits up to this long, so that the agents of a whole cluster do not list in one instant. */
  readonly firstListSpreadMs: number;
}

/** As client-go does it: watches of 5 to 10 minutes, back-off from 0.8 s to 30 s. */
export const LIST_WATCH_TIMES: ListWatchTimes = {
  listTimeoutMs: 60_000,
  openTimeoutMs: 30_000,
  idleMs: 150_000,
  serverSeconds: 300,
  retryFirstMs: 800,
  retryLongestMs: 30_000,
  shortestWatchMs: 1_000,
  firstListSpreadMs: 250,
};

const LIST_LIMIT = 500;

export interface ListWatchDependencies {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly times: ListWatchTimes;
}

/** What is known of the collection: enough to tell what a new list changes. */
interface State {
  readonly known: Map<string, { readonly uid: string; readonly resourceVersion: string }>;
  /** Where the next watch starts; undefined: list first. */
  resourceVersion: string | undefined;
  /** What the next list asks for: `0` is any state of the watch cache; '' the newest, after the server forgot where we were. */
  listFrom: string;
  failures: number;
  /** 410s since the last change was received. */
  gones: number;
}

/** List, watch, resume; list again only when the server no longer knows where we were. Ends when `signal` aborts. */
export async function listWatch<T>(
  options: ListWatchOptions<T>,
  dependencies: ListWatchDependencies,
  signal: AbortSignal,
): Promise<void> {
  const { clock, times } = dependencies;
  const state: State = { known: new Map(), resourceVersion: undefined, listFrom: '0', failures: 0, gones: 0 };
  await clock.sleep(clock.random() * times.firstListSpreadMs, signal);
  while (!signal.aborted) {
    try {
      if (state.resourceVersion === undefined) await list(options, dependencies, state, signal);
      else await watch(options, dependencies, state, signal);
    } catch (error: unknown) {
      if (signal.aborted) return;
      if (isGone(error)) forget(state);
      const delayMs = retryDelayMs(error, state, dependencies);
      options.handlers.onTrouble(error, delayMs);
      await clock.sleep(delayMs, signal);
    }
  }
}

async function list<T>(
  options: ListWatchOptions<T>,
  { transport, times }: ListWatchDependencies,
  state: State,
  signal: AbortSignal,
): Promise<void> {
  const seen = new Set<string>();
  let resourceVersion: string | undefined;
  let next: string | undefined;
  do {
    const query = { ...selector(options), limit: String(LIST_LIMIT), ...page(next, state.listFrom) };
    const answer = await transport.json(
      {
        method: 'GET',
        verb: 'list',
        resource: options.resource,
        path: options.path,
        query,
        timeoutMs: times.listTimeoutMs,
      },
      signal,
    );
    const parsed = parseList(answer);
    for (const object of parsed.items) {
      seen.add(object.key);
      set(options, state, object);
    }
    resourceVersion = parsed.resourceVersion;
    next = parsed.next;
  } while (next !== undefined);
  // What the list no longer holds was deleted while nobody watched.
  for (const key of state.known.keys()) if (!seen.has(key)) remove(options, state, key);
  state.resourceVersion = resourceVersion;
  state.failures = 0;
  options.handlers.onSynced();
}

async function watch<T>(
  options: ListWatchOptions<T>,
  { transport, clock, times }: ListWatchDependencies,
  state: State,
  signal: AbortSignal,
): Promise<void> {
  const startedMs = clock.nowMs();
  const timeoutSeconds = Math.floor(times.serverSeconds * (1 + clock.random()));
  const query = {
    ...selector(options),
    watch: '1',
    allowWatchBookmarks: 'true',
    resourceVersion: state.resourceVersion ?? '',
    timeoutSeconds: String(timeoutSeconds),
  };
  const body = await transport.stream(
    {
      method: 'GET',
      verb: 'watch',
      resource: options.resource,
      path: options.path,
      query,
      timeoutMs: times.openTimeoutMs,
    },
    signal,
  );
  let events = 0;
  try {
    for await (const line of jsonLines(untilIdle(body, times.idleMs))) {
      follow(options, state, line);
      events += 1;
      state.failures = 0;
      state.gones = 0;
    }
  } finally {
    body.destroy();
  }
  if (events === 0 && clock.nowMs() - startedMs < times.shortestWatchMs && !signal.aborted) {
    throw new ControllerError('ApiUnavailable', `watch ${options.resource}: the server ended it at once`);
  }
}

/** One line of a watch. The resource version moves on only after the change was handed over: nothing is lost if that fails. */
function follow<T>(options: ListWatchOptions<T>, state: State, line: unknown): void {
  const event = parseWatchEvent(line);
  if (event.type === 'ERROR') {
    throw new ControllerError('ApiUnavailable', `watch ${options.resource}: ${event.message}`, {
      fields: { status: event.code },
    });
  }
  if (event.type === 'DELETED') remove(options, state, event.object.key);
  else if (event.type !== 'BOOKMARK') set(options, state, event.object);
  state.resourceVersion = event.object.resourceVersion;
}

function set<T>(options: ListWatchOptions<T>, state: State, object: ListedObject): void {
  const { key, uid, resourceVersion } = object;
  const before = state.known.get(key);
  if (before?.resourceVersion === resourceVersion && before.uid === uid) return;
  // The same name made anew is another object: whatever is kept of the old one has to go first.
  if (before !== undefined && before.uid !== uid) options.handlers.onChange(key, { type: 'delete' });
  state.known.set(key, { uid, resourceVersion });
  let value: T;
  try {
    value = options.project(object.raw);
  } catch (error: unknown) {
    return options.handlers.onUnusable(key, error);
  }
  options.handlers.onChange(key, { type: 'set', value });
}

function remove<T>(options: ListWatchOptions<T>, state: State, key: string): void {
  if (state.known.delete(key)) options.handlers.onChange(key, { type: 'delete' });
}

/** A half-open connection says nothing for ever: bookmarks are the heartbeat whose absence tells. */
async function* untilIdle(body: IncomingMessage, idleMs: number): AsyncGenerator<unknown> {
  const dead = () => body.destroy(new Error(`nothing received for ${idleMs} ms`));
  let timer = setTimeout(dead, idleMs);
  try {
    for await (const chunk of body) {
      clearTimeout(timer);
      timer = setTimeout(dead, idleMs);
      yield chunk;
    }
  } finally {
    clearTimeout(timer);
  }
}

function selector(options: { readonly fieldSelector?: string }): Record<string, string> {
  return options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector };
}

function page(next: string | undefined, listFrom: string): Record<string, string> {
  // A continue token carries its own resource version.
  if (next !== undefined) return { continue: next };
  return listFrom === '' ? {} : { resourceVersion: listFrom };
}

/** The server no longer knows our resource version, or does not know it yet. */
function isGone(error: unknown): boolean {
  const status = statusOf(error);
  return (
    status === 410 || (status === 504 && error instanceof Error && error.message.includes('Too large resource version'))
  );
}

function forget(state: State): void {
  state.resourceVersion = undefined;
  state.listFrom = '';
}

/** Full jitter below a doubling ceiling; a server that names a time gets it, and a little more. */
function retryDelayMs(error: unknown, state: State, { clock, times }: ListWatchDependencies): number {
  const gone = isGone(error);
  const attempt = gone ? state.gones : state.failures;
  const ceilingMs = Math.min(times.retryFirstMs * 2 ** Math.min(attempt, 16), times.retryLongestMs);
  if (gone) state.gones += 1;
  else state.failures += 1;
  const jitterMs = clock.random() * ceilingMs;
  const askedMs = retryAfterMsOf(error);
  if (askedMs !== undefined) return askedMs + jitterMs;
  // A server that was restarted forgets where we were: the list is wanted at once, once, however long the server was away.
  return gone && attempt === 0 ? 0 : jitterMs;
}
