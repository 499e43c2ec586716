import { type CapturePolicy, NO_DEFAULTS } from '../../src/capture/policy.ts';
import { resolvePolicy } from '../../src/capture/resolve.ts';
import { parsePod } from '../../src/pod/parse-pod.ts';

export type PolicyValues = { readonly [Name in keyof CapturePolicy]: CapturePolicy[Name]['value'] };

/** For tests: the policy of a pod that says nothing, with some values changed. */
export function samplePolicy(values: Partial<PolicyValues>): CapturePolicy {
  const pod = parsePod({ metadata: { name: 'a' }, spec: { containers: [{ name: 'istio-proxy' }] } });
  const result = resolvePolicy(pod, NO_DEFAULTS, { sidecarName: 'istio-proxy' });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const source = { kind: 'default', key: '', raw: '' } as const;
  const changes = Object.entries(values).map(([name, value]) => [name, { value, source }]);
  return { ...result.policy, ...Object.fromEntries(changes) };
}
