import type { Watched } from '../agent/agent.ts';
import { messageOf } from '../errors.ts';
import type { KubeClient } from '../kube/types.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { nowMs } from './clock.ts';

/** A collection of the API server as the agent reads it: projected objects by key, kept equal by a list/watch. */
export function watchedCollection<T>(options: {
  readonly kube: KubeClient;
  readonly path: string;
  readonly resource: string;
  readonly fieldSelector?: string;
  readonly project: (object: unknown) => T;
  readonly log: Log;
  readonly metrics: Metrics;
}): Watched<T> {
  const { kube, path, resource, fieldSelector, project, log, metrics } = options;
  const store = new Map<string, T>();
  return {
    get: (key) => store.get(key),
    values: () => store.values(),
    failingForMs: () => {
      const sinceMs = kube.collections().find((one) => one.resource === resource)?.failingSinceMs;
      return sinceMs === undefined ? 0 : nowMs() - sinceMs;
    },
    run: (handlers, signal) =>
      kube.listWatch(
        {
          path,
          resource,
          ...(fieldSelector === undefined ? {} : { fieldSelector }),
          project,
          handlers: {
            onChange: (key, change) => {
              metrics.count('watchEvents', { resource, type: change.type });
              if (change.type === 'set') store.set(key, change.value);
              else store.delete(key);
              handlers.onChange(key);
            },
            onSynced: () => handlers.onSynced(),
            onUnusable: (key, error) => log.error('object cannot be used', { resource, key, error: messageOf(error) }),
            onTrouble: (error, retryInMs) =>
              log.warn('watch interrupted', { resource, error: messageOf(error), retryInMs: Math.round(retryInMs) }),
          },
        },
        signal,
      ),
  };
}
