import type { Watched } from '../agent/agent.ts';
import { createArrivals } from '../agent/arrivals.ts';
import { hookMetrics } from '../agent/hook-metrics.ts';
import { createRuntimeHooks, type RuntimeHooksOptions } from '../agent/runtime-hooks.ts';
import type { RunConfig } from '../config/flags.ts';
import type { Namespace, Pod } from '../pod/pod.ts';
import { runPlugin } from '../sandbox/nri/plugin.ts';
import { nowMs, startTimer } from './clock.ts';

/** The order among the plugins of a node; no other plugin's work depends on ours, nor ours on another's. */
const PLUGIN = { name: 'istio-pod-network-controller', index: '10' } as const;

/** The hooks of the runtime (NRI), or nothing where they are switched off. */
export function runtimeHooks(
  options: Omit<RuntimeHooksOptions, 'arrivals' | 'namespace' | 'afterAnswer'> & {
    readonly config: Pick<RunConfig, 'nri' | 'nriSocket'>;
    readonly pods: Watched<Pod>;
    readonly namespaces: Watched<Namespace>;
  },
): { changed(): void; serve(signal: AbortSignal): Promise<void> } {
  const { config, pods, namespaces, log, metrics } = options;
  if (config.nri === 'off') return { changed: () => undefined, serve: () => Promise.resolve() };
  const namespace = (name: string) => namespaces.get(name);
  const following = () => pods.failingForMs() === 0 && namespaces.failingForMs() === 0;
  const arrivals = createArrivals({ pod: (key) => pods.get(key), namespace, following, nowMs, startTimer });
  // The answer is written when the hook's promise is settled, before the event loop comes round to this.
  const hooks = createRuntimeHooks({ ...options, arrivals, namespace, afterAnswer: setImmediate });
  return {
    changed: () => arrivals.changed(),
    serve: (signal) =>
      runPlugin({ ...PLUGIN, socketPath: config.nriSocket, hooks, observer: hookMetrics(metrics), log }, signal),
  };
}
