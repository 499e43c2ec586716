import { ControllerError, messageOf } from '../errors.ts';
import { parsePod } from './parse-pod.ts';
import type { Pod } from './pod.ts';

/** A pod a manifest describes, and where: `Deployment bookinfo/reviews-v1`. */
export interface ManifestPod {
  readonly pod: Pod;
  readonly source: string;
}

/** Kinds that hold a pod template, and where it stands. */
const TEMPLATE_PATHS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
    DaemonSet: ['spec', 'template'],
    Deployment: ['spec', 'template'],
    Job: ['spec', 'template'],
    PodTemplate: ['template'],
    ReplicaSet: ['spec', 'template'],
    ReplicationController: ['spec', 'template'],
    StatefulSet: ['spec', 'template'],
  }),
);

/** Lists may hold lists; nobody nests them deeper. */
const LIST_DEPTH_MAX = 4;

/** The pods of a manifest's documents. Kinds without a pod (Service, ServiceAccount) are passed over. Throws `ManifestInvalid`. */
export function podsOfManifest(documents: readonly unknown[]): readonly ManifestPod[] {
  return documents.flatMap((document) => podsOf(document, 0));
}

/** Where the pods and pod templates of a document stand, in the order of `podsOfManifest`, which has refused what is malformed. */
export function podPaths(document: unknown): readonly (readonly (string | number)[])[] {
  const object = asObject(document, 'a document of the manifest');
  const kind = String(object['kind']);
  const { items } = object;
  if (kind.endsWith('List') && Array.isArray(items))
    return items.flatMap((item: unknown, index) => podPaths(item).map((path) => ['items', index, ...path]));
  if (kind === 'Pod') return [[]];
  const path = TEMPLATE_PATHS.get(kind);
  return path === undefined ? [] : [path];
}

function podsOf(document: unknown, depth: number): readonly ManifestPod[] {
  const object = asObject(document, 'a document of the manifest');
  const kind = object['kind'];
  if (typeof kind !== 'string') throw new ControllerError('ManifestInvalid', 'a document of the manifest has no kind');
  if (kind.endsWith('List') && Array.isArray(object['items'])) {
    if (depth >= LIST_DEPTH_MAX)
      throw new ControllerError('ManifestInvalid', `lists are nested deeper than ${LIST_DEPTH_MAX}`);
    return object['items'].flatMap((item: unknown) => podsOf(item, depth + 1));
  }
  if (kind === 'Pod') return [manifestPod(kind, object)];
  const path = TEMPLATE_PATHS.get(kind);
  return path === undefined ? [] : [manifestPod(kind, fromTemplate(kind, object, path))];
}

/** The pod a controller would make: the template, with the owner's name and namespace where the template has none. */
function fromTemplate(kind: string, owner: Record<string, unknown>, path: readonly string[]): Record<string, unknown> {
  let template: unknown = owner;
  for (const step of path) template = asObject(template, kind)[step];
  const { metadata: templateMetadata, spec } = asObject(template, `${kind}: ${path.join('.')}`);
  const ownerMetadata = asObject(owner['metadata'] ?? {}, `${kind}: metadata`);
  const { name, namespace } = ownerMetadata;
  return { metadata: { name, namespace, ...asObject(templateMetadata ?? {}, `${kind}: template metadata`) }, spec };
}

function manifestPod(kind: string, object: Record<string, unknown>): ManifestPod {
  try {
    const pod = parsePod(object);
    return { pod, source: `${kind} ${pod.namespace}/${pod.name}` };
  } catch (error: unknown) {
    throw new ControllerError('ManifestInvalid', `${kind}: ${messageOf(error)}`, { cause: error });
  }
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new ControllerError('ManifestInvalid', `${what} is not an object`);
}
