import { type ErrorCode, isControllerError } from '../errors.ts';
import type { FakeApiServer } from './fake-api-server.ts';
import { createKubeClient } from './kube-client.ts';
import { LIST_WATCH_TIMES, type ListWatchTimes } from './list-watch-state.ts';
import type { CollectionState } from './types.ts';

/** Real ones, but for the shortest watch: only its own test means to see one end at once. */
const TIMES: ListWatchTimes = { ...LIST_WATCH_TIMES, shortestWatchMs: 0 };

/** A list/watch under test: its store as the caller sees it, and what it said. */
export interface RunningListWatch {
  readonly store: ReadonlyMap<string, string>;
  readonly log: readonly string[];
  /** The pauses it chose between tries. None is slept through. */
  readonly delays: readonly number[];
  /** Of the failures it reported. */
  readonly codes: readonly ErrorCode[];
  /** Resolves once the log holds this. */
  until(text: string): Promise<void>;
  state(): CollectionState | undefined;
  end(): Promise<void>;
}

export interface Peculiar {
  readonly times?: Partial<ListWatchTimes>;
  /** Called with every change, before the store has it. */
  readonly onChange?: (key: string) => void;
  readonly nowMs?: () => number;
}

/** Projects an object to its resource version; throws for one named `bad`. */
export function startListWatch(server: FakeApiServer, peculiar: Peculiar = {}): RunningListWatch {
  const store = new Map<string, string>();
  const log: string[] = [];
  const delays: number[] = [];
  const codes: ErrorCode[] = [];
  const waiting: { text: string; resolve: () => void }[] = [];
  const stop = new AbortController();
  const say = (text: string) => {
    log.push(text);
    for (const one of waiting) if (one.text === text) one.resolve();
  };
  let tokens = ['token-1', 'token-2'];
  const client = createKubeClient({
    baseUrl: server.url,
    credentials: {
      current: () => ({ token: tokens[0] ?? '', ca: '' }),
      refresh: () => {
        tokens = tokens.slice(1);
      },
    },
    observe: ({ verb, code }) => say(`${verb} ${code}`),
    clock: {
      nowMs: peculiar.nowMs ?? (() => performance.now()),
      wallClock: () => new Date(0),
      random: () => 0.5,
      sleep: () => Promise.resolve(),
    },
    nodeName: 'node',
    times: { ...TIMES, ...peculiar.times },
  });
  const running = client.listWatch(
    {
      path: '/api/v1/pods',
      resource: 'pods',
      fieldSelector: 'spec.nodeName=node',
      project,
      handlers: {
        onChange: (key, change) => {
          peculiar.onChange?.(key);
          if (change.type === 'set') store.set(key, change.value);
          else store.delete(key);
          say(change.type === 'set' ? `set ${key} ${change.value}` : `delete ${key}`);
        },
        onSynced: () => say('synced'),
        onUnusable: (key) => say(`unusable ${key}`),
        onTrouble: (error, retryInMs) => {
          if (isControllerError(error)) codes.push(error.code);
          delays.push(retryInMs);
          say('trouble');
        },
      },
    },
    stop.signal,
  );
  return {
    store,
    log,
    delays,
    codes,
    until: async (text) => {
      if (!log.includes(text)) await new Promise<void>((resolve) => void waiting.push({ text, resolve }));
    },
    state: () => client.collections()[0],
    end: async () => {
      stop.abort();
      client.close();
      await running;
    },
  };
}

export function object(name: string, resourceVersion: string, uid = `uid-${name}`): object {
  return { kind: 'Pod', unknownField: { a: 1 }, metadata: { namespace: 'default', name, uid, resourceVersion } };
}

export function listOf(resourceVersion: string, ...items: object[]): object {
  return { kind: 'PodList', metadata: { resourceVersion }, items };
}

export function bookmark(resourceVersion: string): object {
  return { kind: 'Pod', metadata: { resourceVersion } };
}

function project(raw: unknown): string {
  const { metadata } = raw as { metadata: { name: string; resourceVersion: string } };
  if (metadata.name === 'bad') throw new Error('cannot be used');
  return metadata.resourceVersion;
}
