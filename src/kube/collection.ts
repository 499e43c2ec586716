import type { ListedObject } from './objects.ts';
import type { ListWatchHandlers } from './types.ts';

/** What is known of a watched collection: enough to tell what a new list changes. The objects themselves are with the caller. */
export interface Collection {
  set(object: ListedObject): void;
  remove(key: string): void;
  /** What a complete list no longer holds was deleted while nobody watched. */
  keepOnly(keys: ReadonlySet<string>): void;
}

interface Known {
  readonly uid: string;
  readonly resourceVersion: string;
}

/** Never a resource version: whatever a list holds for this key is handed over again, and its end is told too. */
const HANDED_OVER_BADLY = '';

/** No object can stop the others: what `project` or `onChange` throws goes to `onUnusable`. */
export function createCollection<T>(
  project: (object: unknown) => T,
  handlers: Pick<ListWatchHandlers<T>, 'onChange' | 'onUnusable'>,
): Collection {
  const known = new Map<string, Known>();

  function set({ key, uid, resourceVersion, raw }: ListedObject): void {
    const before = known.get(key);
    if (before?.resourceVersion === resourceVersion && before.uid === uid) return;
    // The same name made anew is another object: whatever is kept of the old one has to go first.
    if (before !== undefined && before.uid !== uid) remove(key);
    let value: T;
    try {
      value = project(raw);
    } catch (error: unknown) {
      // Known all the same: a list that brings the same version again does not report it again.
      known.set(key, { uid, resourceVersion });
      handlers.onUnusable(key, error);
      return;
    }
    known.set(key, { uid, resourceVersion: HANDED_OVER_BADLY });
    if (handOver(key, () => handlers.onChange(key, { type: 'set', value }))) known.set(key, { uid, resourceVersion });
  }

  function remove(key: string): void {
    const before = known.get(key);
    if (before === undefined) return;
    known.set(key, { uid: before.uid, resourceVersion: HANDED_OVER_BADLY });
    if (handOver(key, () => handlers.onChange(key, { type: 'delete' }))) known.delete(key);
  }

  function handOver(key: string, change: () => void): boolean {
    try {
      change();
      return true;
    } catch (error: unknown) {
      handlers.onUnusable(key, error);
      return false;
    }
  }

  return {
    set,
    remove,
    keepOnly: (keys) => {
      for (const key of [...known.keys()]) if (!keys.has(key)) remove(key);
    },
  };
}
