import * as v from 'valibot';
import { kubectl } from './kubectl.ts';

/** Names that Kubernetes objects of this product carry. */
export const NAMES = {
  namespace: 'bookinfo',
  product: 'istio-pod-network-controller',
  gate: 'istio-pod-network-controller-gate',
  initialize: 'istio-pod-network-controller/initialize',
  status: 'pod-network-controller.istio.io/status',
  capture: 'pod-network-controller.istio.io/capture',
} as const;

const SECURITY = v.optional(
  v.object({
    privileged: v.optional(v.boolean()),
    allowPrivilegeEscalation: v.optional(v.boolean()),
    runAsNonRoot: v.optional(v.boolean()),
    runAsUser: v.optional(v.number()),
    capabilities: v.optional(v.object({ add: v.optional(v.array(v.string())) })),
  }),
);

const CONTAINER = v.object({ name: v.string(), image: v.optional(v.string(), ''), securityContext: SECURITY });

const STATUS = v.object({
  name: v.string(),
  ready: v.optional(v.boolean(), false),
  started: v.optional(v.boolean(), false),
  imageID: v.optional(v.string(), ''),
  state: v.optional(
    v.object({
      waiting: v.optional(v.object({ reason: v.optional(v.string(), '') })),
      running: v.optional(v.object({})),
      terminated: v.optional(v.object({ exitCode: v.number() })),
    }),
    {},
  ),
});

const POD = v.object({
  metadata: v.object({
    name: v.string(),
    uid: v.optional(v.string(), ''),
    creationTimestamp: v.optional(v.nullable(v.string()), ''),
    deletionTimestamp: v.optional(v.string()),
    annotations: v.optional(v.record(v.string(), v.string()), {}),
  }),
  spec: v.object({
    securityContext: SECURITY,
    initContainers: v.optional(v.array(CONTAINER), []),
    containers: v.array(CONTAINER),
  }),
  status: v.optional(
    v.object({
      podIP: v.optional(v.string(), ''),
      conditions: v.optional(
        v.array(
          v.object({ type: v.string(), status: v.string(), lastTransitionTime: v.optional(v.nullable(v.string())) }),
        ),
        [],
      ),
      initContainerStatuses: v.optional(v.array(STATUS), []),
      containerStatuses: v.optional(v.array(STATUS), []),
    }),
    {},
  ),
});

/** What the demo reads of a pod. */
export type DemoPod = v.InferOutput<typeof POD>;
export type DemoContainer = v.InferOutput<typeof CONTAINER>;

const LIST = v.object({ items: v.array(POD) });

/** A pod out of JSON that the API server sent. */
export function parsePod(json: string): DemoPod {
  return v.parse(POD, JSON.parse(json));
}

/** Pods of a namespace by label selector, without those that are being deleted. */
export async function listPods(namespace: string, selector: string): Promise<readonly DemoPod[]> {
  const list = v.parse(LIST, JSON.parse(await kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json'])));
  return list.items.filter((pod) => pod.metadata.deletionTimestamp === undefined);
}

/** Init containers first, as they start. */
export function containersOf(pod: DemoPod): readonly DemoContainer[] {
  return [...pod.spec.initContainers, ...pod.spec.containers];
}

export function isReady(pod: DemoPod): boolean {
  return pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

/** Whole seconds from creation to Ready, as the API server dates them; undefined if it is not Ready. */
export function secondsToReady(pod: DemoPod): number | undefined {
  const ready = pod.status.conditions?.find(({ type, status }) => type === 'Ready' && status === 'True');
  if (ready?.lastTransitionTime === undefined || ready.lastTransitionTime === null) return undefined;
  return (Date.parse(ready.lastTransitionTime) - Date.parse(pod.metadata.creationTimestamp ?? '')) / 1000;
}

/** Where a pod is on its way, in two words. */
export function progressOf(pod: DemoPod): string {
  if (isReady(pod)) return 'ready';
  const statuses = [...(pod.status.initContainerStatuses ?? []), ...(pod.status.containerStatuses ?? [])];
  for (const { name, state, ready, started } of statuses) {
    if (state.terminated?.exitCode === 0 || ready) continue;
    if (state.terminated !== undefined) return `${name} failed`;
    if (state.running !== undefined && started) continue;
    return `${name} ${state.running === undefined ? 'waits' : 'runs'}`;
  }
  return 'pending';
}
