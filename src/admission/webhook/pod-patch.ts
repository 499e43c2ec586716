import { isDeepStrictEqual } from 'node:util';
import { asObject, type JsonObject } from '../json.ts';

/** One operation of a JSON Patch (RFC 6902). */
export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** Objects whose own fields are compared; anything below is replaced as a whole. */
const PARTS = ['metadata', 'spec'] as const;

/**
 * The JSON Patch from one pod to another, a field of `metadata` or `spec` each: what did not change is not named, so that nothing we do
 * not know of (fields of a newer API) passes through our hands. `after` shares with `before` whatever it did not change.
 */
export function podPatch(before: unknown, after: unknown): readonly PatchOperation[] {
  const [old, young] = [asObject(before), asObject(after)];
  return PARTS.flatMap((part) => fieldsPatch(`/${part}`, asObject(old[part]), asObject(young[part])));
}

function fieldsPatch(path: string, before: JsonObject, after: JsonObject): readonly PatchOperation[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name): readonly PatchOperation[] => {
    const [old, young] = [before[name], after[name]];
    if (old === young || isDeepStrictEqual(old, young)) return [];
    const at = `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (young === undefined) return [{ op: 'remove', path: at }];
    return [{ op: name in before ? 'replace' : 'add', path: at, value: young }];
  });
}
