import type { AwaitedHook, PluginObserver } from '../sandbox/nri/plugin-hooks.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** What the wire counts, as metrics. */
export function hookMetrics(metrics: Metrics): PluginObserver {
  const count = (result: string) => () => metrics.count('nriConnections', { result });
  return {
    answered: ({ hook, outcome, durationMs }) => {
      metrics.count('nriHooks', { hook: HOOKS[hook].label, outcome });
      metrics.observe(HOOKS[hook].histogram, durationMs / 1000);
    },
    connected: count('connected'),
    lost: count('lost'),
    rejected: count('rejected'),
  };
}

/** Labels bear the runtime's own names of its hooks. */
const HOOKS = {
  runPodSandbox: { label: 'RunPodSandbox', histogram: 'nriSandboxSeconds' },
  createContainer: { label: 'CreateContainer', histogram: 'nriContainerSeconds' },
} as const satisfies Record<AwaitedHook, { label: string; histogram: 'nriSandboxSeconds' | 'nriContainerSeconds' }>;
