/** What the agent uses of the Kubernetes API, and nothing else. This folder knows nothing of pods: objects are projected by the caller. */
export interface KubeClient {
  /** Keeps the caller equal to the collection, through `handlers`, until `signal` aborts. Never throws for a failing server: it comes back. */
  listWatch<T>(options: ListWatchOptions<T>, signal: AbortSignal): Promise<void>;
  /** Merge patch of annotations only, through the status subresource. `gone`: no such object, or another one of that name. */
  patchAnnotations(target: PatchTarget): Promise<'patched' | 'gone'>;
  /** Creates an Event; one that exists already counts as created, and what was said before is not sent again. Throws if it fails: to be logged. */
  createEvent(event: PodEvent): Promise<void>;
  /** The list/watches under way, each read live. */
  collections(): readonly CollectionState[];
}

/** How a list/watch fares, for health and metrics. Times are of the client's monotonic clock. */
export interface CollectionState {
  readonly resource: string;
  /** True from the first complete list on. */
  readonly synced: boolean;
  /** When the server last sent anything; undefined before it did. */
  readonly lastContactMs: number | undefined;
  /** Since when nothing has come through; undefined while all is well. */
  readonly failingSinceMs: number | undefined;
}

export interface ListWatchOptions<T> {
  /** `/api/v1/pods`. */
  readonly path: string;
  /** For metrics and logs: `pods`. */
  readonly resource: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  /** Cuts an object down to what is kept. The raw object is dropped. May throw for an object it cannot use. */
  readonly project: (object: unknown) => T;
  readonly handlers: ListWatchHandlers<T>;
}

export interface ListWatchHandlers<T> {
  onChange(key: string, change: Change<T>): void;
  /** After every complete list. */
  onSynced(): void;
  /** An object that `project` or `onChange` threw for: the last usable record of it is kept, and the watch goes on. */
  onUnusable(key: string, error: unknown): void;
  /** A request failed or a watch ended badly; the next try follows after `retryInMs`. */
  onTrouble(error: unknown, retryInMs: number): void;
}

export type Change<T> = { readonly type: 'set'; readonly value: T } | { readonly type: 'delete' };

export interface PatchTarget {
  readonly path: string;
  readonly uid: string;
  /** Null removes a key. */
  readonly annotations: Readonly<Record<string, string | null>>;
}

export interface PodEvent {
  readonly namespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: string;
  readonly note: string;
}

/** Monotonic time and interruptible sleep, injectable for tests. */
export interface Clock {
  readonly nowMs: () => number;
  readonly wallClock: () => Date;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
}

/** Called once per request with its outcome: an HTTP status, or `error` when there was none. */
export type RequestObserver = (request: {
  readonly verb: string;
  readonly resource: string;
  readonly code: string;
}) => void;
