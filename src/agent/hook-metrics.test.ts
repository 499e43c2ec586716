import { expect, it } from 'vitest';
import { createMetrics } from '../telemetry/metrics.ts';
import { hookMetrics } from './hook-metrics.ts';

it('what the wire counts comes out under the names of the runtime', async () => {
  const metrics = createMetrics('test');
  const observer = hookMetrics(metrics);
  observer.connected();
  observer.lost();
  observer.answered({ hook: 'runPodSandbox', outcome: 'done', isRefusal: false, durationMs: 4 });
  observer.answered({ hook: 'createContainer', outcome: 'refused', isRefusal: true, durationMs: 400 });
  const { text } = await metrics.render();
  for (const line of [
    'nri_connections_total{result="connected"} 1',
    'nri_connections_total{result="lost"} 1',
    'nri_hooks_total{hook="RunPodSandbox",outcome="done"} 1',
    'nri_hooks_total{hook="CreateContainer",outcome="refused"} 1',
    'nri_run_pod_sandbox_duration_seconds_bucket{le="0.005"} 1',
    'nri_create_container_duration_seconds_bucket{le="0.25"} 0',
  ]) {
    expect(text).toContain(line);
  }
});
