import { ControllerError } from '../errors.ts';
import type { Cluster } from '../kubeconfig/cluster.ts';
import { parseNamespace } from '../pod/parse-pod.ts';
import { parseAgent } from '../status/agents.ts';
import { parseStatusPod } from '../status/status-pod.ts';
import { wallClock } from './clock.ts';
import { follow } from './follow.ts';
import type { Given } from './given.ts';
import { AGENT_SELECTOR, isNamed, nothingFound, readNamespaces, type Scope } from './status-read.ts';
import { createStatusStore, type StatusStore } from './status-store.ts';
import type { StatusPrinter } from './status-print.ts';

export interface StatusWatch {
  readonly cluster: Cluster;
  readonly scope: Scope;
  readonly given: Given;
  readonly printer: StatusPrinter;
  /** Ended by SIGINT here. */
  readonly stop: AbortController;
}

/** The list, then each row as it changes, until SIGINT, which ends it with 0. A cluster that cannot be read at all ends it at once. */
export async function watchStatus(watch: StatusWatch): Promise<number> {
  const { scope, given, printer, stop } = watch;
  const store = createStatusStore({ given, scope });
  const interrupt = () => stop.abort();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  let listed = false;
  const refresh = (keys?: readonly string[]) => {
    if (listed) printer.print(store.changes(keys), wallClock().getTime());
  };
  const collections = followAll(watch, store, refresh);
  try {
    await allRead(watch, store, collections);
    const rows = store.changes();
    printer.print(rows, wallClock().getTime());
    if (rows.length === 0 && !stop.signal.aborted) process.stderr.write(`${nothingFound(scope)}\n`);
    listed = true;
    await collections.pods.ended;
  } finally {
    stop.abort();
    await Promise.all(Object.values(collections).map(({ ended }) => ended));
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
  return 0;
}

type Collections = ReturnType<typeof followAll>;

function followAll(
  { cluster, scope, stop }: StatusWatch,
  store: StatusStore,
  refresh: (keys?: readonly string[]) => void,
) {
  const { signal } = stop;
  const field = scope.namespace === undefined ? {} : { fieldSelector: `metadata.name=${scope.namespace}` };
  return {
    pods: follow({
      cluster,
      signal,
      asked: scope.pods,
      project: parseStatusPod,
      onChange: (key, change) => {
        if (change.type === 'set' && !isNamed(scope, change.value.pod.name)) return;
        store.setPod(key, change.type === 'set' ? change.value : undefined);
        refresh([key]);
      },
    }),
    namespaces: follow({
      cluster,
      signal,
      asked: { path: '/api/v1/namespaces', resource: 'namespaces', query: field },
      project: parseNamespace,
      onChange: (key, change) => {
        store.setNamespace(key, change.type === 'set' ? change.value : undefined);
        refresh();
      },
    }),
    agents: follow({
      cluster,
      signal,
      asked: {
        path: `/api/v1/namespaces/${encodeURIComponent(scope.agentNamespace)}/pods`,
        resource: 'pods of the agent',
        query: { labelSelector: AGENT_SELECTOR },
      },
      project: parseAgent,
      onChange: (key, change) => {
        store.setAgent(key, change.type === 'set' ? change.value : undefined);
        refresh();
      },
    }),
  };
}

/** Waits for the first lists. Pods must be readable; without the rest there is less to say. */
async function allRead(
  { cluster, scope, stop }: StatusWatch,
  store: StatusStore,
  collections: Collections,
): Promise<void> {
  const [pods, namespaces, agents] = await Promise.all([
    collections.pods.synced,
    collections.namespaces.synced,
    collections.agents.synced,
  ]);
  if (stop.signal.aborted) return;
  if (!pods)
    throw new ControllerError(
      'ApiRefused',
      `this user may not list and watch pods in ${scope.namespace ?? 'all namespaces'} (${cluster.login.place})`,
      { hint: 'Name another namespace with -n, or another context with --context.' },
    );
  // Whoever may not list them may often get the one of his own.
  if (!namespaces) for (const one of (await readNamespaces(cluster, scope)).values()) store.setNamespace(one.name, one);
  if (!agents) store.agentsUnknown();
}
