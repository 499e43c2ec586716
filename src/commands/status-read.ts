import { ControllerError, isControllerError, messageOf } from '../errors.ts';
import { statusOf } from '../kube/api-errors.ts';
import type { Asked, Cluster } from '../kubeconfig/cluster.ts';
import { parseNamespace } from '../pod/parse-pod.ts';
import type { Namespace } from '../pod/pod.ts';
import { type Agents, agentsByNode, parseAgent } from '../status/agents.ts';
import { parseStatusPod, type StatusPod } from '../status/status-pod.ts';
import type { Given } from './given.ts';

/** Which pods. */
export interface Scope {
  /** Undefined: all. */
  readonly namespace: string | undefined;
  /** Empty: all. */
  readonly names: ReadonlySet<string>;
  readonly pods: Asked & { readonly query: Readonly<Record<string, string>> };
  readonly agentNamespace: string;
  readonly all: boolean;
}

/** Where there is nothing, kubectl says so on stderr and ends with 0. */
export function nothingFound({ namespace, all }: Scope): string {
  const where = namespace === undefined ? 'any namespace' : `namespace ${namespace}`;
  return `No ${all ? '' : 'mesh '}pods found in ${where}.${all ? '' : ' With --all: every pod, and why it takes no part.'}`;
}

export function isNamed({ names }: Scope, name: string): boolean {
  return names.size === 0 || names.has(name);
}

/** One pod that cannot be read must not hide the others. */
export function parseOrTell(object: unknown): readonly StatusPod[] {
  try {
    return [parseStatusPod(object)];
  } catch (error: unknown) {
    process.stderr.write(`warning: ${messageOf(error)}\n`);
    return [];
  }
}

/** The pods that flags and words name; the context's namespace where no other is given. */
export function scopeOf(given: Given, names: ReadonlySet<string>, contextNamespace: string | undefined): Scope {
  const namespace =
    given['allNamespaces'] === undefined ? (given['namespace'] ?? contextNamespace ?? 'default') : undefined;
  const { node, selector } = given;
  const fields = [
    ...(node === undefined ? [] : [`spec.nodeName=${node}`]),
    // One name is asked for alone; the API knows no list of them.
    ...(names.size === 1 ? [`metadata.name=${[...names][0]}`] : []),
  ];
  return {
    namespace,
    names,
    pods: {
      path: namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`,
      resource: 'pods',
      query: {
        ...(fields.length === 0 ? {} : { fieldSelector: fields.join(',') }),
        ...(selector === undefined ? {} : { labelSelector: selector }),
      },
    },
    agentNamespace: given['agentNamespace'] ?? 'istio-pod-network-controller',
    all: given['all'] !== undefined,
  };
}

/** `NAME` or, as `-o name` prints it, `pod/NAME`. */
export function podName(word: string): string {
  const name = word.replace(/^pods?\//, '');
  if (/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) return name;
  throw new ControllerError('Usage', `${JSON.stringify(word)} is no name of a pod`);
}

/** Empty where they may not be read. */
export async function readNamespaces(cluster: Cluster, { namespace }: Scope): Promise<ReadonlyMap<string, Namespace>> {
  const path = '/api/v1/namespaces';
  const objects = await orDenied(async () => {
    if (namespace === undefined)
      return (await cluster.list({ path, resource: 'namespaces' }, (object) => [parseNamespace(object)])).items;
    const one = await cluster.find({
      path: `${path}/${encodeURIComponent(namespace)}`,
      resource: `namespace ${namespace}`,
    });
    return one === undefined ? [] : [parseNamespace(one)];
  });
  return new Map((objects ?? []).map((one) => [one.name, one]));
}

export const AGENT_SELECTOR = 'app.kubernetes.io/name=istio-pod-network-controller';

/** The agents by node; `unknown` where they may not be read. */
export async function readAgents(cluster: Cluster, namespace: string): Promise<Agents> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
  const listed = await orDenied(() =>
    cluster.list({ path, resource: 'pods', query: { labelSelector: AGENT_SELECTOR } }, (object) => {
      const agent = parseAgent(object);
      return agent === undefined ? [] : [agent];
    }),
  );
  return listed === undefined ? 'unknown' : agentsByNode(listed.items);
}

/** Undefined when the user may not ask that; what may be asked still makes a list. */
async function orDenied<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error: unknown) {
    if (isControllerError(error) && statusOf(error) === 403) return undefined;
    throw error;
  }
}
