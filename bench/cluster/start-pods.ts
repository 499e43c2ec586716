import { appPod, container } from '../../test/support/cluster-pods.ts';
import {
  at,
  CAPTURE,
  createNamespace,
  deleteNamespaces,
  GATE,
  listAt,
  MESH,
  textAt,
} from '../../test/support/cluster.ts';
import { createPod, readPod, removePod, type StoredPod } from './api.ts';
import { firstInstructionAtMs, firstLine } from './container-log.ts';
import { type EnvironmentName, ENVIRONMENTS } from './environment.ts';

/** No sidecar; a sidecar and nothing that captures, which is as fast as any mesh pod can start; a captured pod. */
export type PodKind = 'plain' | 'floor' | 'mesh';

/** Plain and Istio's own pods; those that opted in to us, whose Namespace our webhook is asked about. */
const ISTIO_NAMESPACE = 'pnc-bench-istio';
const OUR_NAMESPACE = 'pnc-bench-ours';
/** In a storm of 60 one may have to wait for as long as the storm takes. */
const STARTED_TIMEOUT_MS = 300_000;
/** Ends after one connect to its own loopback, where nothing listens. */
const ONE_CONNECT = ['dial', '--for-ms', '1', '127.0.0.1:1'];
/** Init containers that each environment's mesh pod must come out with: else something else would be measured. */
const MESH_INITS: Readonly<Record<EnvironmentName, readonly string[]>> = {
  'istio-init': ['istio-init', 'istio-proxy'],
  'istio-cni': ['istio-validation', 'istio-proxy'],
  CRI: [GATE, 'istio-proxy'],
  NRI: [GATE, 'istio-proxy'],
  gateless: ['istio-proxy'],
};

let made = 0;

export async function createStartNamespaces(): Promise<void> {
  // Without Pod Security: istio-init would not pass it.
  const labels = { 'istio-injection': 'enabled' };
  await createNamespace(ISTIO_NAMESPACE, { labels });
  await createNamespace(OUR_NAMESPACE, { labels, annotations: MESH.annotations });
}

export function deleteStartNamespaces(): Promise<void> {
  return deleteNamespaces([ISTIO_NAMESPACE, OUR_NAMESPACE]);
}

/** How one pod started. */
export interface Started {
  /** From the request to the application's first instruction. */
  readonly startMs: number;
  /** What our agent took inside the netns, proof and mark included, as it reported; undefined for a pod that is not ours. */
  readonly captureMs: number | undefined;
}

/** Starts a pod; it is gone again when this returns. */
export async function startOne(kind: PodKind, environment: EnvironmentName): Promise<Started> {
  const pod = await createStartPod({ kind, environment, args: ONE_CONNECT });
  const atMs = await firstInstructionAtMs(pod, 'app', STARTED_TIMEOUT_MS);
  const captureMs = pod.namespace === OUR_NAMESPACE ? await reportedCaptureMs(pod) : undefined;
  await removePod(pod);
  return { startMs: atMs - pod.requestedAtMs, captureMs };
}

/** From the request to the application's first line, by the runtime's clock when it took the line; for a pod that lives on and says nothing else. */
export async function firstLineStartMs(pod: StoredPod, timeoutMs: number): Promise<number> {
  const { takenAtMs } = await firstLine(pod, 'app', timeoutMs);
  return takenAtMs - pod.requestedAtMs;
}

async function reportedCaptureMs(pod: StoredPod): Promise<number | undefined> {
  const report = textAt(await readPod(pod), 'metadata', 'annotations', CAPTURE);
  const ms = report === '' ? undefined : at(JSON.parse(report), 'ms');
  return typeof ms === 'number' ? ms : undefined;
}

/** Makes a pod of that kind and checks what admission made of it. */
export async function createStartPod(options: {
  readonly kind: PodKind;
  readonly environment: EnvironmentName;
  readonly args: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}): Promise<StoredPod> {
  const { kind, environment, args, labels = {} } = options;
  made += 1;
  const pod = await createPod(
    namespaceOf(kind, environment),
    appPod(`${kind}-${made}`, {
      labels: { ...labels, ...(kind === 'plain' ? { 'sidecar.istio.io/inject': 'false' } : {}) },
      annotations: kind === 'floor' ? { 'sidecar.istio.io/interceptionMode': 'NONE' } : {},
      spec: { restartPolicy: 'Never', automountServiceAccountToken: false, containers: [container('app', args)] },
    }),
  );
  const inits = listAt(pod.object, 'spec', 'initContainers').map((init) => textAt(init, 'name'));
  const wanted = { plain: [], floor: ['istio-proxy'], mesh: MESH_INITS[environment] }[kind];
  if (inits.join() !== wanted.join()) throw new Error(`${pod.name}, ${environment}: came out with ${inits.join(', ')}`);
  return pod;
}

export function namespaceOf(kind: PodKind, environment: EnvironmentName): string {
  return kind === 'mesh' && ENVIRONMENTS[environment].ours !== 'away' ? OUR_NAMESPACE : ISTIO_NAMESPACE;
}
