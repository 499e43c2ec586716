import { ControllerError } from '../errors.ts';
import type { Cluster } from '../kubeconfig/cluster.ts';
import { byName } from '../status/status-table.ts';
import { wallClock } from './clock.ts';
import { choiceOf, clusterOf } from './cluster-login.ts';
import type { Given } from './given.ts';
import { createStatusPrinter, type StatusPrinter } from './status-print.ts';
import {
  isNamed,
  nothingFound,
  parseOrTell,
  podName,
  readAgents,
  readNamespaces,
  type Scope,
  scopeOf,
} from './status-read.ts';
import { optionsOf, rowOf } from './status-view.ts';
import { watchStatus } from './status-watch.ts';

/** `status [POD…]`: one row per mesh pod, from the cluster alone. */
export async function statusVerb(given: Given, ...words: readonly string[]): Promise<number> {
  const format = choiceOf('--output', given['output'], ['text', 'wide', 'json', 'name']);
  const names = new Set(words.map(podName));
  if (names.size > 0 && given['allNamespaces'] !== undefined)
    throw new ControllerError('Usage', 'a pod is not named across all namespaces: give -n NAMESPACE instead of -A');
  const stop = new AbortController();
  const cluster = await clusterOf(given, stop.signal);
  const scope = scopeOf(given, names, cluster.login.namespace);
  const stream = given['watch'] !== undefined;
  const heads = given['noHeaders'] === undefined;
  const printer = createStatusPrinter({ format, namespaces: scope.namespace === undefined, heads, stream });
  try {
    if (stream) return await watchStatus({ cluster, scope, given, printer, stop });
    return await listOnce(cluster, scope, given, printer);
  } finally {
    // When one request fails the others are not waited for.
    stop.abort();
    cluster.close();
  }
}

async function listOnce(cluster: Cluster, scope: Scope, given: Given, printer: StatusPrinter): Promise<number> {
  const [listed, namespaces, agents] = await Promise.all([
    cluster.list(scope.pods, (object) => parseOrTell(object).filter(({ pod }) => isNamed(scope, pod.name))),
    readNamespaces(cluster, scope),
    readAgents(cluster, scope.agentNamespace),
  ]);
  const options = optionsOf({ given, agents, agentNamespace: scope.agentNamespace, warn });
  const surroundings = {
    namespace: (name: string) => namespaces.get(name),
    agents,
    options,
    all: scope.all || scope.names.size > 0,
    nowMs: wallClock().getTime(),
  };
  const pods = listed.items;
  const rows = pods.flatMap((one) => rowOf(one, surroundings) ?? []).toSorted(byName);
  printer.print(rows, surroundings.nowMs);
  const missing = [...scope.names].filter((name) => !pods.some(({ pod }) => pod.name === name));
  for (const name of missing) process.stderr.write(`error: pod ${name} is not in namespace ${scope.namespace ?? ''}\n`);
  if (missing.length > 0) return 1;
  if (rows.length === 0) process.stderr.write(`${nothingFound(scope)}\n`);
  return 0;
}

function warn(text: string): void {
  process.stderr.write(`warning: ${text}\n`);
}
