import { messageOf } from '../../errors.ts';
import type { Log } from '../../telemetry/log.ts';
import type { ClusterApi } from './cluster-api.ts';

export interface WatchOneOptions<T> {
  readonly api: Pick<ClusterApi, 'listWatch'>;
  /** Of the collection. */
  readonly path: string;
  readonly resource: string;
  readonly name: string;
  readonly project: (object: unknown) => T;
  /** The object as it is now; undefined when it was deleted. */
  readonly onChange: (value: T | undefined) => void;
  /** After every complete list: if nothing was told before it, there is no such object. */
  readonly onSynced: () => void;
  readonly log: Log;
}

/** Follows one object of a collection until `signal` aborts. RBAC allows it by name: the field selector is what the name is taken from. */
export function watchOne<T>(options: WatchOneOptions<T>, signal: AbortSignal): Promise<void> {
  const { api, path, resource, name, project, onChange, onSynced, log } = options;
  return api.listWatch<T>(
    {
      path,
      resource,
      fieldSelector: `metadata.name=${name}`,
      project,
      handlers: {
        onChange: (_, change) => onChange(change.type === 'set' ? change.value : undefined),
        onSynced,
        onUnusable: (_, error) => log.error('object cannot be used', { resource, name, error: messageOf(error) }),
        onTrouble: (error, retryInMs) => {
          const fields = { resource, error: messageOf(error), retryInMs: Math.round(retryInMs) };
          log.warn('watch interrupted', fields);
        },
      },
    },
    signal,
  );
}
