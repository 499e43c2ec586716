import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CommandResult, command, tryCommand } from '../../lab/command.ts';
import { lab } from '../../lab/paths.ts';

const KUBECTL = [join(lab.bin, 'kubectl'), `--kubeconfig=${lab.kubeconfig}`];
const KUBECTL_TIMEOUT_MS = 120_000;

/** What names this product's work on a pod; spelled out here, because a test must not take them from the code it tests. */
export const INITIALIZE = 'istio-pod-network-controller/initialize';
export const STATUS = 'pod-network-controller.istio.io/status';
export const CAPTURE = 'pod-network-controller.istio.io/capture';
export const MESSAGE = 'pod-network-controller.istio.io/message';
export const GATE = 'istio-pod-network-controller-gate';

export interface KubectlOptions {
  /** Standard input, for `-f -`. */
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** The lab's kubectl as cluster admin; throws with the end of its output unless it exits 0. */
export function kubectl(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
  return command([...KUBECTL, ...args], { timeoutMs: KUBECTL_TIMEOUT_MS, ...options });
}

/** The same, for commands that are meant to be refused. */
export function tryKubectl(args: readonly string[], options: KubectlOptions = {}): Promise<CommandResult> {
  return tryCommand([...KUBECTL, ...args], { timeoutMs: KUBECTL_TIMEOUT_MS, ...options });
}

/** `kubectl … -o json`, parsed. */
export async function kubectlJson(args: readonly string[]): Promise<unknown> {
  return JSON.parse(await kubectl([...args, '-o', 'json']));
}

/** Creates or updates objects, in `namespace` where they name none. */
export async function apply(objects: readonly unknown[], namespace = 'default'): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await kubectl(['apply', '-n', namespace, '-f', '-'], { input: JSON.stringify(list) });
}

/** What is at a path of JSON; undefined as soon as a step is not there. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let here = value;
  for (const step of path) {
    if (typeof here !== 'object' || here === null) return undefined;
    here = Reflect.get(here, step);
  }
  return here;
}

/** The text at a path of JSON, or an empty one. */
export function textAt(value: unknown, ...path: readonly (string | number)[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
}

/** The list at a path of JSON, or an empty one. */
export function listAt(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/**
 * For what gives no event: looks every 100 ms until `condition` gives something other than undefined or false. An exception counts as
 * "not yet" and is told when the time is over.
 */
export async function waitFor<T>(
  description: string,
  condition: () => Promise<T | undefined | false>,
  options: { readonly timeoutMs: number; readonly intervalMs?: number },
): Promise<T> {
  const deadlineMs = performance.now() + options.timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const seen = await condition();
      if (seen !== undefined && seen !== false) return seen;
      last = undefined;
    } catch (error: unknown) {
      last = error;
    }
    if (performance.now() > deadlineMs) {
      throw new Error(`not within ${options.timeoutMs / 1000} s: ${description}`, { cause: last });
    }
    await delay(options.intervalMs ?? 100);
  }
}

/** A Namespace with its ServiceAccount, and, where Istio injects, the certificate every sidecar mounts. */
export async function createNamespace(
  name: string,
  metadata: { readonly labels?: object; readonly annotations?: object } = {},
): Promise<void> {
  await deleteNamespaces([name]);
  await apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, ...metadata } }]);
  for (const object of ['serviceaccount/default', 'configmap/istio-ca-root-cert']) {
    await kubectl(['wait', '-n', name, '--for=create', '--timeout=60s', object]);
  }
  if (textAt(metadata, 'annotations', INITIALIZE) === 'true') await webhookKnows(name);
}

/**
 * The webhook tells the API server which Namespaces it is to be asked about, a moment after they opt in; a mesh pod that comes before
 * that is refused, and a controller tries again. Tests create bare pods, so they wait. Without the webhook there is nothing to wait for.
 */
export async function webhookKnows(namespace: string): Promise<void> {
  const get = ['get', 'mutatingwebhookconfiguration', 'zz-istio-pod-network-controller', '--ignore-not-found'];
  const configuration = () => kubectl([...get, '-o', 'json']);
  if ((await configuration()) === '') return;
  await waitFor(
    `the webhook is asked about ${namespace}`,
    async () => JSON.stringify(listAt(JSON.parse(await configuration()), 'webhooks')).includes(`"${namespace}"`),
    { timeoutMs: 30_000 },
  );
}

/** The annotations and labels with which Istio injects and this product captures. */
export const MESH = {
  labels: { 'istio-injection': 'enabled', 'pod-security.kubernetes.io/enforce': 'restricted' },
  annotations: { [INITIALIZE]: 'true' },
} as const;

/** Removes Namespaces with all that is in them, and waits until the pods' last process is gone. */
export async function deleteNamespaces(names: readonly string[]): Promise<void> {
  await kubectl(['delete', 'namespace', '--ignore-not-found', '--timeout=180s', ...names], { timeoutMs: 200_000 });
}
