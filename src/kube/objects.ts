import * as v from 'valibot';
import { ControllerError } from '../errors.ts';

/** What list and watch need of any object; the rest is the projection's. */
export interface ListedObject {
  /** `namespace/name`, or `name` for what has no namespace. */
  readonly key: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly raw: unknown;
}

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: ListedObject }
  | { readonly type: 'ERROR'; readonly code: number; readonly message: string };

/** Never empty: a watch from an empty version starts "now" and would skip what lies between. */
const ResourceVersion = v.pipe(v.string(), v.nonEmpty());

const ListShape = v.object({
  metadata: v.object({ resourceVersion: ResourceVersion, continue: v.optional(v.string(), '') }),
  items: v.nullish(v.array(v.unknown()), []),
});
const ObjectShape = v.object({
  metadata: v.object({
    name: v.optional(v.string(), ''),
    namespace: v.optional(v.string(), ''),
    uid: v.optional(v.string(), ''),
    resourceVersion: ResourceVersion,
  }),
});
const EventShape = v.object({
  type: v.picklist(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: v.unknown(),
});
const StatusShape = v.object({ code: v.optional(v.number(), 0), message: v.optional(v.string(), '') });

/** One page of a list. Throws `ApiReply`. */
export function parseList(answer: unknown): {
  readonly items: readonly ListedObject[];
  readonly resourceVersion: string;
  readonly next: string | undefined;
} {
  const { metadata, items } = shaped(ListShape, answer, 'list');
  return {
    items: items.map((item) => named(parseObject(item))),
    resourceVersion: metadata.resourceVersion,
    next: metadata.continue === '' ? undefined : metadata.continue,
  };
}

/** One line of a watch. Throws `ApiReply`. */
export function parseWatchEvent(line: unknown): WatchEvent {
  const { type, object } = shaped(EventShape, line, 'watch event');
  if (type === 'BOOKMARK') return { type, object: parseObject(object) };
  if (type !== 'ERROR') return { type, object: named(parseObject(object)) };
  const { code, message } = shaped(StatusShape, object, 'watch error');
  return { type, code, message };
}

function parseObject(raw: unknown): ListedObject {
  const { metadata } = shaped(ObjectShape, raw, 'object');
  const key = metadata.namespace === '' ? metadata.name : `${metadata.namespace}/${metadata.name}`;
  return { key, uid: metadata.uid, resourceVersion: metadata.resourceVersion, raw };
}

/** Only a bookmark has no name. */
function named(object: ListedObject): ListedObject {
  if (object.key !== '' && !object.key.endsWith('/')) return object;
  throw new ControllerError('ApiReply', 'object: metadata.name is missing');
}

function shaped<S extends v.GenericSchema>(schema: S, value: unknown, what: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new ControllerError('ApiReply', `${what}: ${v.getDotPath(issue) ?? 'value'}: ${issue.message}`);
}
