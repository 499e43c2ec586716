import { type CaptureDefaults, NO_DEFAULTS } from '../../src/capture/policy.ts';
import { resolvePolicy } from '../../src/capture/resolve.ts';
import { parsePod } from '../../src/pod/parse-pod.ts';
import { buildRuleset } from '../../src/ruleset/build.ts';
import type { Probe } from '../../src/ruleset/probe.ts';
import { planProbes } from '../../src/ruleset/probe-plan.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { POD_V4 } from './netns-lab.ts';

export interface PodSettings {
  /** Istio's annotations, without `traffic.sidecar.istio.io/`; others in full. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly proxyEnv?: Readonly<Record<string, string>>;
  readonly defaults?: Partial<CaptureDefaults>;
}

/** Rules and probes of a pod, by the same way the agent goes. */
export function desiredOf(settings: PodSettings): { readonly ruleset: Ruleset; readonly probes: readonly Probe[] } {
  const entries = Object.entries(settings.annotations ?? {});
  const annotations = entries.map(([key, value]) => [
    key.includes('/') ? key : `traffic.sidecar.istio.io/${key}`,
    value,
  ]);
  const env = Object.entries(settings.proxyEnv ?? {}).map(([name, value]) => ({ name, value }));
  const pod = parsePod({
    metadata: { name: 'a', annotations: Object.fromEntries(annotations) },
    spec: { containers: [{ name: 'app' }, { name: 'istio-proxy', env }] },
    status: { podIPs: [{ ip: POD_V4 }] },
  });
  const result = resolvePolicy(pod, { ...NO_DEFAULTS, ...settings.defaults }, { sidecarName: 'istio-proxy' });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return { ruleset: buildRuleset(result.policy), probes: planProbes(result.policy) };
}
