import type { Credentials } from './credentials.ts';
import { createEventSink } from './events.ts';
import { listWatch } from './list-watch.ts';
import { LIST_WATCH_TIMES, type ListWatchTimes } from './list-watch-state.ts';
import { patchAnnotations } from './patch.ts';
import { createTransport } from './request.ts';
import type { Clock, CollectionState, KubeClient, RequestObserver } from './types.ts';

const WRITE_TIMEOUT_MS = 10_000;

export interface KubeClientOptions {
  readonly baseUrl: URL;
  readonly credentials: Credentials;
  readonly observe: RequestObserver;
  readonly clock: Clock;
  /** Reporting instance of Events. */
  readonly nodeName: string;
  readonly times?: ListWatchTimes;
}

/** The client and a way to end its connections. Writes in flight at that moment are given up. */
export function createKubeClient(options: KubeClientOptions): KubeClient & { close(): void } {
  const { clock, nodeName, times = LIST_WATCH_TIMES } = options;
  const transport = createTransport(options);
  const closing = new AbortController();
  const writing = { timeoutMs: WRITE_TIMEOUT_MS, signal: closing.signal };
  const states = new Set<CollectionState>();
  return {
    listWatch: (request, signal) => listWatch(request, { transport, clock, times, states }, signal),
    patchAnnotations: (target) => patchAnnotations(transport, target, writing),
    createEvent: createEventSink({ transport, wallClock: clock.wallClock, nodeName, ...writing }),
    collections: () => [...states],
    close: () => {
      closing.abort(new Error('the agent ends'));
      transport.close();
    },
  };
}
