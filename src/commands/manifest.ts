import { readFileSync, statSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { ControllerError, errnoOf, messageOf } from '../errors.ts';
import { parseNamespace } from '../pod/parse-pod.ts';
import { type ManifestPod, podsOfManifest } from '../pod/parse-manifest.ts';
import type { Namespace, Pod } from '../pod/pod.ts';

/** A manifest larger than etcd's limit for one object times a long list is not one. */
const MANIFEST_BYTES_MAX = 16 * 1024 * 1024;

/** A pod of a manifest and the Namespace it is judged with: the one in the file, or one without annotations. */
export interface GivenPod extends ManifestPod {
  readonly namespace: Namespace;
}

/**
 * The pods of a manifest file; `-` is standard input. Objects that name no namespace are in that of `namespaceFile`, as with
 * `kubectl apply -n`. Throws `FileUnreadable` or `ManifestInvalid` naming the file and the place.
 */
export function readPods(file: string, namespaceFile?: string): readonly GivenPod[] {
  const pods = podsIn(readDocuments(file), namespaceFile);
  if (pods.length > 0) return pods;
  throw new ControllerError('ManifestInvalid', `${shownName(file)}: holds no pod and nothing with a pod template`);
}

/** The pods of documents that have been read already; there may be none. */
export function podsIn(documents: readonly unknown[], namespaceFile?: string): readonly GivenPod[] {
  const namespace = namespaceFile === undefined ? undefined : parseNamespace(readDocuments(namespaceFile)[0]);
  const pods = podsOfManifest(
    namespace === undefined ? documents : documents.map((one) => inNamespace(one, namespace.name)),
  );
  return pods.map((one) => ({ ...one, namespace: namespaceOf(one.pod, namespace, namespaceFile ?? '') }));
}

/** Exactly one pod, for verbs that work on one netns. */
export function readOnePod(file: string, namespaceFile?: string): GivenPod {
  const pods = readPods(file, namespaceFile);
  const [first] = pods;
  if (first === undefined || pods.length > 1) {
    throw new ControllerError(
      'ManifestInvalid',
      `${shownName(file)}: holds ${pods.length} pods; this verb takes exactly one`,
    );
  }
  return first;
}

function namespaceOf(pod: Pod, namespace: Namespace | undefined, file: string): Namespace {
  if (namespace === undefined) return { name: pod.namespace, annotations: {}, labels: {} };
  if (namespace.name === pod.namespace) return namespace;
  throw new ControllerError(
    'ManifestInvalid',
    `${shownName(file)}: is namespace ${namespace.name}, but the pod is in ${pod.namespace}`,
  );
}

/** The object with that namespace if it names none; a List's items each. */
function inNamespace(document: unknown, namespace: string): unknown {
  if (!isObject(document)) return document;
  const { items, metadata } = document;
  if (Array.isArray(items)) return { ...document, items: items.map((item: unknown) => inNamespace(item, namespace)) };
  return isObject(metadata) ? { ...document, metadata: { namespace, ...metadata } } : document;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readDocuments(file: string): readonly unknown[] {
  const documents = parseAllDocuments(readManifestText(file));
  if (!Array.isArray(documents)) return [];
  const values: unknown[] = [];
  for (const document of documents) {
    const [problem] = document.errors;
    if (problem !== undefined) throw new ControllerError('ManifestInvalid', `${shownName(file)}: ${problem.message}`);
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    if (value !== null && value !== undefined) values.push(value);
  }
  return values;
}

/** The text of a manifest file; `-` is standard input. Throws `FileUnreadable`, or `ManifestInvalid` when it is too large. */
export function readManifestText(file: string): string {
  try {
    if (file !== '-' && statSync(file).size > MANIFEST_BYTES_MAX) {
      throw new ControllerError('ManifestInvalid', `${file}: larger than ${MANIFEST_BYTES_MAX} bytes`);
    }
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error: unknown) {
    if (error instanceof ControllerError) throw error;
    throw new ControllerError('FileUnreadable', `${shownName(file)}: ${errnoOf(error) ?? messageOf(error)}`, {
      cause: error,
    });
  }
}

/** A file's name for people. */
export function shownName(file: string): string {
  return file === '-' ? 'standard input' : file;
}
