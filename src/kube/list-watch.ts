import { ControllerError } from '../errors.ts';
import { type Collection, createCollection } from './collection.ts';
import { jsonLines } from './json-lines.ts';
import { parseList, parseWatchEvent } from './objects.ts';
import type { ApiRequest, Transport } from './request.ts';
import type { Clock, CollectionState, ListWatchOptions } from './types.ts';
import {
  contact,
  forget,
  freshState,
  type ListWatchTimes,
  noteFailure,
  type State,
  visibleState,
} from './list-watch-state.ts';
import { watchSilence } from './watch-silence.ts';

const LIST_LIMIT = 500;

export interface ListWatchDependencies {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly times: ListWatchTimes;
  /** Told of every list/watch that runs, for health and metrics. */
  readonly states: Set<CollectionState>;
}

/** One list/watch under way. */
interface Run<T> extends ListWatchDependencies {
  readonly options: ListWatchOptions<T>;
  readonly collection: Collection;
  readonly state: State;
  readonly signal: AbortSignal;
}

/** List, watch, resume; list again only when the server no longer knows where we were. Ends when `signal` aborts. */
export async function listWatch<T>(
  options: ListWatchOptions<T>,
  dependencies: ListWatchDependencies,
  signal: AbortSignal,
): Promise<void> {
  const { clock, times, states } = dependencies;
  const state: State = freshState();
  const collection = createCollection(options.project, options.handlers);
  const run: Run<T> = { ...dependencies, options, collection, state, signal };
  const shown = visibleState(options.resource, state);
  states.add(shown);
  try {
    await clock.sleep(clock.random() * times.firstListSpreadMs, signal);
    while (!signal.aborted) {
      try {
        if (state.resourceVersion === undefined) await list(run);
        else await watch(run, state.resourceVersion);
      } catch (error: unknown) {
        if (signal.aborted) return;
        const delayMs = noteFailure(state, error, { clock, times });
        options.handlers.onTrouble(error, delayMs);
        await clock.sleep(delayMs, signal);
      }
    }
  } finally {
    states.delete(shown);
  }
}

async function list<T>(run: Run<T>): Promise<void> {
  const { options, collection, state, transport, clock, times, signal } = run;
  const seen = new Set<string>();
  let resourceVersion: string | undefined;
  let next: string | undefined;
  do {
    const query = { ...selectors(options), ...page(next, state.listFrom) };
    const answer = await transport.json(get(options, 'list', query, times.listTimeoutMs), signal);
    contact(state, clock);
    const parsed = parseList(answer);
    for (const object of parsed.items) {
      seen.add(object.key);
      collection.set(object);
    }
    resourceVersion = parsed.resourceVersion;
    next = parsed.next;
  } while (next !== undefined);
  collection.keepOnly(seen);
  state.resourceVersion = resourceVersion;
  state.failures = 0;
  state.unreadable = 0;
  state.synced = true;
  options.handlers.onSynced();
}

async function watch<T>(run: Run<T>, resourceVersion: string): Promise<void> {
  const { options, state, transport, clock, times, signal } = run;
  const timeoutSeconds = Math.floor(times.serverSeconds * (1 + clock.random()));
  const query = {
    ...selectors(options),
    watch: '1',
    allowWatchBookmarks: 'true',
    resourceVersion,
    timeoutSeconds: String(timeoutSeconds),
  };
  const body = await transport.stream(get(options, 'watch', query, times.openTimeoutMs), signal);
  const startedMs = clock.nowMs();
  const failingSinceMs = state.failingSinceMs;
  contact(state, clock);
  const silence = watchSilence(body, times.idleMs);
  let lines = 0;
  try {
    for await (const line of jsonLines(body)) {
      contact(state, clock);
      follow(run, line);
      lines += 1;
      state.gones = 0;
      state.unreadable = 0;
    }
  } finally {
    silence.end();
    body.destroy();
    // A server that has never said a word may be waiting for our version, one of before its backup was restored: a list finds out.
    if (silence.tooLong() && lines === 0) forget(state);
    if (clock.nowMs() - startedMs >= times.shortestWatchMs) state.failures = 0;
    // Headers alone are no recovery.
    else if (lines === 0) state.failingSinceMs = failingSinceMs;
  }
  if (clock.nowMs() - startedMs < times.shortestWatchMs && !signal.aborted) {
    throw new ControllerError('ApiUnavailable', `watch ${options.resource}: the server ended it at once`);
  }
}

/** One line of a watch. The resource version moves on only after the change was handed over: nothing is lost in between. */
function follow<T>({ options, collection, state }: Run<T>, line: unknown): void {
  const event = parseWatchEvent(line);
  if (event.type === 'ERROR') {
    throw new ControllerError('ApiUnavailable', `watch ${options.resource}: ${event.message}`, {
      fields: { status: event.code },
    });
  }
  if (event.type === 'DELETED') collection.remove(event.object.key);
  else if (event.type !== 'BOOKMARK') collection.set(event.object);
  state.resourceVersion = event.object.resourceVersion;
}

function get<T>(options: ListWatchOptions<T>, verb: string, query: ApiRequest['query'], timeoutMs: number): ApiRequest {
  return { method: 'GET', verb, resource: options.resource, path: options.path, timeoutMs, query: query ?? {} };
}

function selectors({ fieldSelector, labelSelector }: Omit<ListWatchOptions<never>, 'project' | 'handlers'>) {
  return {
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
  };
}

function page(next: string | undefined, listFrom: string): Record<string, string> {
  const limit = String(LIST_LIMIT);
  // A continue token carries its own resource version.
  if (next !== undefined) return { limit, continue: next };
  if (listFrom === '') return { limit };
  // With a limit a version means exactly that state, read from etcd; without, one not older, from the watch cache. `0` may have both.
  return listFrom === '0' ? { limit, resourceVersion: listFrom } : { resourceVersion: listFrom };
}
