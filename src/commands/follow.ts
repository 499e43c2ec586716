import { messageOf } from '../errors.ts';
import { statusOf } from '../kube/api-errors.ts';
import { listWatch } from '../kube/list-watch.ts';
import { LIST_WATCH_TIMES } from '../kube/list-watch-state.ts';
import type { Change } from '../kube/types.ts';
import type { Asked, Cluster } from '../kubeconfig/cluster.ts';
import { nowMs, sleep, wallClock } from './clock.ts';

export interface FollowOptions<T> {
  readonly cluster: Cluster;
  readonly asked: Asked;
  readonly project: (object: unknown) => T;
  readonly onChange: (key: string, change: Change<T>) => void;
  readonly signal: AbortSignal;
}

/** A collection that is kept equal to the cluster's. */
export interface Followed {
  /** True after the first complete list; false where it may not be read; rejected when the cluster cannot be reached. */
  readonly synced: Promise<boolean>;
  /** Ends with the signal, or where it may not be read. */
  readonly ended: Promise<void>;
}

/** A person waits for the first list, so it is not spread as those of the agents are. */
const TIMES = { ...LIST_WATCH_TIMES, firstListSpreadMs: 0 };

/**
 * The agent's list/watch over a person's login: a dropped connection, a restarted server or a version that is too old cost only time.
 * But the first list must come: a person is told at once what an agent would wait for.
 */
export function follow<T>({ cluster, asked, project, onChange, signal }: FollowOptions<T>): Followed {
  const { path, resource, query = {} } = asked;
  const { fieldSelector, labelSelector } = query;
  const stop = new AbortController();
  const { promise: synced, resolve, reject } = Promise.withResolvers<boolean>();
  let listed = false;
  const ended = listWatch(
    {
      path,
      resource,
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      project,
      handlers: {
        onChange,
        onSynced: () => {
          listed = true;
          resolve(true);
        },
        onUnusable: (key, error) => void process.stderr.write(`warning: ${key}: ${messageOf(error)}\n`),
        onTrouble: (error, retryInMs) => {
          if (listed)
            return void process.stderr.write(
              `warning: ${messageOf(error)}; again in ${Math.ceil(retryInMs / 1000)} s\n`,
            );
          stop.abort();
          if (statusOf(error) === 403) resolve(false);
          else reject(error);
        },
      },
    },
    {
      transport: cluster.transport,
      clock: { nowMs, wallClock, sleep, random: Math.random },
      times: TIMES,
      states: new Set(),
    },
    AbortSignal.any([signal, stop.signal]),
  ).then(() => resolve(false));
  return { synced, ended };
}
