import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { CLIENT_IMAGE } from '../../lab/bookinfo/build.ts';
import { apply, at, GATE, kubectl, kubectlJson, listAt, textAt, waitFor } from './cluster.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');

/** Both documentation families on three ports. Only an Envoy in the pod can complete such a connect: nothing else answers. */
export const OUTSIDE_IPV4 = ['192.0.2.1:80', '192.0.2.1:443', '192.0.2.1:9999'] as const;
export const OUTSIDE_IPV6 = ['[2001:db8::1]:80', '[2001:db8::1]:443', '[2001:db8::1]:9999'] as const;
export const OUTSIDE = [...OUTSIDE_IPV4, ...OUTSIDE_IPV6] as const;

/** Everything a container needs under Pod Security `restricted`. */
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

export interface PodOptions {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly initContainers?: readonly object[];
  /** More containers beside `app`. */
  readonly containers?: readonly object[];
  /** Of the application; without any it echoes. */
  readonly args?: readonly string[];
  readonly spec?: object;
}

/** All objects of an example manifest. */
function example(file: string): readonly unknown[] {
  const documents = parseAllDocuments(readFileSync(join(EXAMPLES, file), 'utf8'));
  return documents.map((document): unknown => document.toJSON()).filter((object) => object !== null);
}

/** Istio leaves most of Envoy's statistics out; with this annotation of a pod the listeners' are there. */
export const LISTENER_STATISTICS = { 'proxy.istio.io/config': 'proxyStatsMatcher: {inclusionPrefixes: [listener]}' };

/** The example, with Envoy's statistics of its listeners. Nothing else is changed. */
export function bookinfo(): readonly unknown[] {
  return example('bookinfo.yaml').map((object) => {
    const template = at(object, 'spec', 'template');
    if (typeof object !== 'object' || object === null || typeof template !== 'object' || template === null)
      return object;
    const metadata = { ...Object(at(template, 'metadata')), annotations: LISTENER_STATISTICS };
    return { ...object, spec: { ...Object(at(object, 'spec')), template: { ...template, metadata } } };
  });
}

/** Of a pod that passes Pod Security `restricted`, with the containers of Istio that name no seccomp profile themselves. */
export const POD_SECURITY = {
  runAsNonRoot: true,
  runAsUser: 1000,
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

/** Envoy's default is to dial what the application asked for. With this it does not: then every packet on the bridge is an escape. */
export const REGISTRY_ONLY = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'Sidecar',
  metadata: { name: 'default' },
  spec: { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } },
} as const;

/** An ordinary application of the mesh, as the examples write them: no word of this product, restricted, one container. */
export function appPod(name: string, options: PodOptions = {}): object {
  const { annotations = {}, labels = {}, initContainers = [], containers = [], args = ['echo'], spec = {} } = options;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, annotations, labels: { app: name, ...labels } },
    spec: {
      terminationGracePeriodSeconds: 1,
      securityContext: POD_SECURITY,
      initContainers,
      containers: [container('app', args), ...containers],
      ...spec,
    },
  };
}

/** A container of the lab's client program: `connect`, `fetch` or `echo`. */
export function container(name: string, args: readonly string[], more: object = {}): object {
  const base = { name, image: CLIENT_IMAGE, imagePullPolicy: 'IfNotPresent', args };
  return { ...base, securityContext: RESTRICTED, ...more };
}

/**
 * What stands where Istio's sidecar would, in pods written by hand: it listens on Envoy's port as Envoy's user. For tests of the gate
 * and of the agent that Istio's own injection would get in the way of.
 */
export function standInSidecar(): object {
  return container('istio-proxy', ['echo', '--listen', ':15001'], {
    restartPolicy: 'Always',
    securityContext: { ...RESTRICTED, runAsUser: 1337, runAsGroup: 1337 },
  });
}

/** A gate written by hand, in the image of the chart's. */
export async function handMadeGate(args: readonly string[], more: object = {}): Promise<object> {
  const image = await agentImage();
  return {
    name: GATE,
    image,
    imagePullPolicy: 'IfNotPresent',
    args: ['init', ...args],
    securityContext: RESTRICTED,
    ...more,
  };
}

async function agentImage(): Promise<string> {
  const daemonSet = await kubectlJson(['get', 'daemonset', '-n', AGENT_NAMESPACE, 'istio-pod-network-controller']);
  return textAt(daemonSet, 'spec', 'template', 'spec', 'containers', 0, 'image');
}

export const AGENT_NAMESPACE = 'istio-pod-network-controller';

/** Creates pods in `namespace`. */
export async function createPods(namespace: string, pods: readonly object[]): Promise<void> {
  await apply(pods, namespace);
}

/** Waits until pods are Ready; throws with their state. */
export async function waitReady(namespace: string, names: readonly string[], timeoutMs = 120_000): Promise<void> {
  const pods = names.map((name) => `pod/${name}`);
  try {
    const wait = ['wait', '-n', namespace, '--for=condition=Ready', `--timeout=${timeoutMs / 1000}s`, ...pods];
    await kubectl(wait, { timeoutMs: timeoutMs + 10_000 });
  } catch (error: unknown) {
    const state = await kubectl(['get', 'pods', '-n', namespace, '-o', 'wide']);
    throw new Error(`${namespace}: not Ready:\n${state}`, { cause: error });
  }
}

/** One pod as the API server has it. */
export function getPod(namespace: string, name: string): Promise<unknown> {
  return kubectlJson(['get', 'pod', '-n', namespace, name]);
}

/** All pods of a Namespace. */
export async function getPods(namespace: string): Promise<readonly unknown[]> {
  return listAt(await kubectlJson(['get', 'pods', '-n', namespace]), 'items');
}

/** Waits until a container of the pod has started, as often as `restarts` says. */
export async function waitStarted(namespace: string, name: string, containerName: string, restarts = 0): Promise<void> {
  await waitFor(
    `${namespace}/${name}: container ${containerName} started`,
    async () => {
      const status = statusOf(await getPod(namespace, name), containerName);
      const started = at(status, 'state', 'running') !== undefined || at(status, 'state', 'terminated') !== undefined;
      return started && Number(at(status, 'restartCount')) >= restarts;
    },
    { timeoutMs: 60_000, intervalMs: 250 },
  );
}

/** The status of one container of a pod, init containers included. */
export function statusOf(pod: unknown, containerName: string): unknown {
  const all = [...listAt(pod, 'status', 'initContainerStatuses'), ...listAt(pod, 'status', 'containerStatuses')];
  return all.find((status) => at(status, 'name') === containerName);
}

/** `running`, `waiting` or `terminated`. */
export function stateOf(pod: unknown, containerName: string): string {
  const state = at(statusOf(pod, containerName), 'state');
  return typeof state === 'object' && state !== null ? (Object.keys(state)[0] ?? '') : '';
}

/** Sum of all restarts in a pod. */
export function restartsOf(pod: unknown): number {
  const all = [...listAt(pod, 'status', 'initContainerStatuses'), ...listAt(pod, 'status', 'containerStatuses')];
  return all.reduce<number>((sum, status) => sum + Number(at(status, 'restartCount')), 0);
}

export interface LogLine {
  /** Wall clock of the node, by the container runtime. */
  readonly timeMs: number;
  readonly text: string;
}

/** A container's log, each line with the time at which the runtime took it. */
export async function logOf(namespace: string, name: string, containerName: string): Promise<readonly LogLine[]> {
  const output = await kubectl(['logs', '-n', namespace, name, '-c', containerName, '--timestamps']);
  const lines = output.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [time = '', ...words] = line.split(' ');
    return { timeMs: Date.parse(time), text: words.join(' ') };
  });
}
