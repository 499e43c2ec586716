import type { Namespace, Pod } from '../pod/pod.ts';
import { podKey } from '../pod/pod.ts';
import type { Health } from '../telemetry/health.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createQueue } from './queue.ts';
import type { Turn } from './reconcile.ts';
import type { Records } from './records.ts';
import type { SandboxWatch } from './sandbox-watch.ts';

/** One watched collection: what is there now, and a call per change. */
export interface Watched<T> {
  get(key: string): T | undefined;
  values(): Iterable<T>;
  /** How long it could not be followed; 0 while it can. */
  failingForMs(): number;
  /** Follows the collection until `signal` aborts. `onChange` gets the object's key, `onSynced` is called after the first list. */
  run(handlers: { onChange(key: string): void; onSynced(): void }, signal: AbortSignal): Promise<void>;
}

export interface AgentOptions {
  readonly pods: Watched<Pod>;
  readonly namespaces: Watched<Namespace>;
  readonly sandboxes: SandboxWatch;
  readonly records: Records;
  readonly reconcile: (key: string) => Promise<Turn>;
  /** Called after each change of a pod or Namespace, once it is in its store. */
  readonly onChange: () => void;
  /** Serves the hooks of the runtime until `signal` aborts. Not before both collections are known: a hook must not wait for a first list. */
  readonly serveHooks: (signal: AbortSignal) => Promise<void>;
  /** Every few seconds, for measurements of others. */
  readonly onHousekeeping: () => void;
  /** Filled in by the caller so that the sandbox watch can wake keys of a queue that is made here. */
  readonly onQueue: (wake: (key: string) => void) => void;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly nowMs: () => number;
  readonly startTimer: (delayMs: number, fire: () => void) => { cancel(): void };
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Pods of one node: kubelet allows 110, OpenShift 500, experiments 2500. */
const KEYS_MAX = 8_192;
/** Waiting for the runtime and the API overlaps; the work inside a netns is synchronous and never does. */
const WORKERS = 8;
/** Everything is looked at again this often: whatever a lost event or a full queue left undone is found here. */
const RESYNC_MS = 60_000;
const HEARTBEAT_MS = 5_000;

/** The loop: watches and sandbox looks fill a queue of pod keys, workers reconcile them, failures come back after a pause. */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { pods, namespaces, health, metrics, log } = options;
  const synced = { pods: false, namespaces: false };
  /** Pods that were there at the start and have not been reconciled yet. */
  let initial: Set<string> | undefined;
  let hooks: Promise<void> | undefined;

  const queue = createQueue({
    workers: WORKERS,
    keysMax: KEYS_MAX,
    nowMs: options.nowMs,
    startTimer: options.startTimer,
    onChange: () => metrics.set('queueDepth', queue.depth),
    work: async (key) => {
      const startedMs = options.nowMs();
      const turn = await options.reconcile(key);
      metrics.observe('reconcileSeconds', (options.nowMs() - startedMs) / 1000);
      health.beat();
      if (turn.kind === 'retry') retry(key, turn);
      reconciled(key);
    },
  });
  options.onQueue(add);

  function add(key: string): void {
    if (!synced.pods || !synced.namespaces || queue.add(key)) return;
    metrics.count('queueDropped');
    log.warn('queue full; the next resync brings the pod back', { pod: key });
  }

  function retry(key: string, turn: Extract<Turn, { kind: 'retry' }>): void {
    const { error, afterMs } = turn;
    metrics.count('errors', { code: error.code });
    log.warn('reconcile failed', {
      pod: key,
      code: error.code,
      error: error.message,
      hint: error.hint,
      afterMs: Math.round(afterMs),
      ...error.fields,
    });
    queue.addAfter(key, afterMs);
  }

  function reconciled(key: string): void {
    if (initial === undefined || !initial.delete(key) || initial.size > 0) return;
    firstRoundDone();
  }

  function firstRoundDone(): void {
    initial = undefined;
    health.done('reconciled');
    log.info('first reconciliation done');
  }

  function onSynced(what: keyof typeof synced): void {
    if (synced[what]) return;
    synced[what] = true;
    if (!synced.pods || !synced.namespaces) return;
    health.done('synced');
    initial = new Set([...pods.values()].map(podKey));
    log.info('synced', { pods: initial.size });
    hooks ??= options.serveHooks(signal);
    if (initial.size === 0) firstRoundDone();
    else for (const key of initial) add(key);
  }

  function onPod(key: string): void {
    options.onChange();
    add(key);
  }

  function onNamespace(name: string): void {
    options.onChange();
    for (const pod of pods.values()) if (pod.namespace === name) add(podKey(pod));
  }

  const housekeeping = every(HEARTBEAT_MS, options, signal, () => {
    health.beat();
    options.onHousekeeping();
    for (const [state, count] of options.records.states()) metrics.set('pods', count, { state });
    for (const [resource, watched] of Object.entries({ pods, namespaces })) {
      metrics.set('watchFailing', watched.failingForMs() / 1000, { resource });
    }
  });
  const resync = every(RESYNC_MS, options, signal, () => {
    for (const pod of pods.values()) add(podKey(pod));
  });
  await Promise.all([
    namespaces.run({ onChange: onNamespace, onSynced: () => onSynced('namespaces') }, signal),
    pods.run({ onChange: onPod, onSynced: () => onSynced('pods') }, signal),
    options.sandboxes.run(signal),
    housekeeping,
    resync,
  ]);
  await hooks;
  // Captured pods stay captured: nothing in a netns is undone when the agent ends.
  await queue.drain();
}

async function every(
  periodMs: number,
  { sleep }: Pick<AgentOptions, 'sleep'>,
  signal: AbortSignal,
  act: () => void,
): Promise<void> {
  while (!signal.aborted) {
    await sleep(periodMs, signal);
    if (!signal.aborted) act();
  }
}
