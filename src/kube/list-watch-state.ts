import { isControllerError } from '../errors.ts';
import { retryAfterMsOf, statusOf } from './api-errors.ts';
import type { Clock, CollectionState } from './types.ts';

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

/** A line that cannot be read may be a connection that lies; the same one again and again is the object, and only a list gets past it. */
const UNREADABLE_MAX = 3;

/** Where a list/watch is and how it fares. */
export interface State {
  /** Where the next watch starts; undefined: list first. */
  resourceVersion: string | undefined;
  /** What the next list asks for: `0` is any state of the watch cache, a version one not older than that, '' the newest. */
  listFrom: string;
  failures: number;
  /** 410s since the last line was received. */
  gones: number;
  /** Answers since the last line that made sense. */
  unreadable: number;
  synced: boolean;
  lastContactMs: number | undefined;
  failingSinceMs: number | undefined;
}

interface Pace {
  readonly clock: Clock;
  readonly times: ListWatchTimes;
}

/** Decides after a failure what the next try is, and gives the pause before it. */
export function noteFailure(state: State, error: unknown, pace: Pace): number {
  state.failingSinceMs ??= pace.clock.nowMs();
  const watching = state.resourceVersion !== undefined;
  if (watching && isControllerError(error, 'ApiReply')) state.unreadable += 1;
  if (isGone(error) || (watching && state.unreadable >= UNREADABLE_MAX)) forget(state);
  return retryDelayMs(error, state, pace);
}

/** The server no longer knows our resource version, or does not know it yet. */
function isGone(error: unknown): boolean {
  const status = statusOf(error);
  return (
    status === 410 || (status === 504 && error instanceof Error && error.message.includes('Too large resource version'))
  );
}

/**
 * The next thing is a list: not older than where we were, which the watch cache can give. Only if even that was refused the newest
 * state of all, for a server before 1.31 reads every pod of the cluster from etcd for it, once per agent.
 */
export function forget(state: State): void {
  state.listFrom = state.resourceVersion ?? '';
  state.resourceVersion = undefined;
}

/** Full jitter below a doubling ceiling; a server that names a time gets it, and a little more. */
function retryDelayMs(error: unknown, state: State, { clock, times }: Pace) {
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

/** The server sent something. */
export function contact(state: State, clock: Clock): void {
  state.lastContactMs = clock.nowMs();
  state.failingSinceMs = undefined;
}

export function freshState(): State {
  const counters = { failures: 0, gones: 0, unreadable: 0 };
  const times = { lastContactMs: undefined, failingSinceMs: undefined };
  return { resourceVersion: undefined, listFrom: '0', synced: false, ...counters, ...times };
}

/** The part of the state that others may see, as it is at the moment they look. */
export function visibleState(resource: string, state: State): CollectionState {
  return {
    resource,
    get synced() {
      return state.synced;
    },
    get lastContactMs() {
      return state.lastContactMs;
    },
    get failingSinceMs() {
      return state.failingSinceMs;
    },
  };
}
