import { PRODUCT, template } from './chart.ts';
import { kubectl } from './cluster.ts';

/** Kinds without a Namespace of which the chart, or what it starts, owns objects. */
const CLUSTER_KINDS = [
  'clusterrole',
  'clusterrolebinding',
  'flowschema',
  'mutatingadmissionpolicy',
  'mutatingadmissionpolicybinding',
  'mutatingwebhookconfiguration',
  'validatingadmissionpolicy',
  'validatingadmissionpolicybinding',
].join(',');
const OURS = new RegExp(`/(zz-)?${PRODUCT}(-.*)?$`);

/** Takes the product from the cluster, however it came there. */
export async function removeProduct(): Promise<void> {
  const names = (await kubectl(['get', CLUSTER_KINDS, '-o', 'name'])).split('\n').filter((name) => OURS.test(name));
  if (names.length > 0) await kubectl(['delete', '--ignore-not-found', ...names]);
  await kubectl(['delete', 'namespace', PRODUCT, '--ignore-not-found', '--timeout=110s']);
}

/** Installs the chart as the README does, and waits for the agent: what every other test on the cluster expects. */
export async function installAgain(): Promise<void> {
  await kubectl(['apply', '-f', '-'], { input: await template([]) });
  await rolledOut();
}

/** Returns when every agent, and every webhook if there are any, is ready and of the newest revision. */
export async function rolledOut(): Promise<void> {
  const found = (await kubectl(['get', 'daemonset,deployment', '-n', PRODUCT, '-o', 'name']))
    .split('\n')
    .filter(Boolean);
  for (const workload of found) await kubectl(['rollout', 'status', '-n', PRODUCT, workload, '--timeout=110s']);
}

/** What comes and goes by itself. */
const RESTLESS = new Set(['events', 'events.events.k8s.io', 'leases.coordination.k8s.io', 'componentstatuses']);

/** Every object of the cluster, as `Kind/namespace/name`. */
export async function inventory(): Promise<ReadonlySet<string>> {
  const resources = (await kubectl(['api-resources', '--verbs=list', '-o', 'name'])).split('\n').filter(Boolean);
  const kinds = resources.filter((name) => !RESTLESS.has(name)).join(',');
  const line = '{.kind}/{.metadata.namespace}/{.metadata.name}{"\\n"}';
  const lines = await kubectl(['get', kinds, '-A', '-o', `jsonpath={range .items[*]}${line}{end}`]);
  return new Set(lines.split('\n').filter(Boolean));
}

/** What is there now and was not before. */
export async function newSince(before: ReadonlySet<string>): Promise<readonly string[]> {
  return [...(await inventory())].filter((object) => !before.has(object)).sort();
}
