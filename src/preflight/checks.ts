import type { Check, Outcome, PreflightOptions } from './check.ts';
import { EXISTING_CHECKS } from './checks-existing.ts';
import { ISTIO_CHECKS } from './checks-istio.ts';
import { KUBERNETES_CHECKS } from './checks-kubernetes.ts';
import { NAMESPACE_CHECKS } from './checks-namespaces.ts';
import { NODE_CHECKS } from './checks-nodes.ts';
import type { ClusterFacts } from './facts.ts';

/** Every check, in the order in which they are shown. */
export const CHECKS: readonly Check[] = [
  ...KUBERNETES_CHECKS,
  ...NODE_CHECKS,
  ...ISTIO_CHECKS,
  ...EXISTING_CHECKS,
  ...NAMESPACE_CHECKS,
];

export interface Checked extends Outcome {
  readonly id: string;
  readonly group: Check['group'];
}

/** All checks on the facts of one cluster. Pure. */
export function runChecks(facts: ClusterFacts, options: PreflightOptions): readonly Checked[] {
  return CHECKS.map(({ id, group, run }) => ({ id, group, ...run(facts, options) }));
}
