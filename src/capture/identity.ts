import { ARGUMENTS } from './istio-flags.ts';
import { annotation, argument, firstOf, type Inputs, istioDefault, unlessEmpty } from './inputs.ts';
import { parseIds } from './ids.ts';
import type { Problem, Sourced } from './policy.ts';

export const UID_ANNOTATION = 'pod-network-controller.istio.io/envoy-userid';
export const GID_ANNOTATION = 'pod-network-controller.istio.io/envoy-groupid';

/** Istio's user and group `istio-proxy`. */
const ISTIO_PROXY_ID = 1337;

/** Whose traffic is the proxy's own: override, Istio's arguments, the sidecar's securityContext, the pod's (uid only), Istio's default. */
export function proxyUids(inputs: Inputs, problems: Problem[]): Sourced<readonly number[]> {
  return idsOf(inputs, problems, { override: UID_ANNOTATION, argument: ARGUMENTS.proxyUid, field: 'runAsUser' });
}

export function proxyGids(inputs: Inputs, problems: Problem[]): Sourced<readonly number[]> {
  return idsOf(inputs, problems, { override: GID_ANNOTATION, argument: ARGUMENTS.proxyGid, field: 'runAsGroup' });
}

function idsOf(
  inputs: Inputs,
  problems: Problem[],
  names: { readonly override: string; readonly argument: string; readonly field: 'runAsUser' | 'runAsGroup' },
): Sourced<readonly number[]> {
  const candidates = [annotation(inputs, names.override, 'override'), unlessEmpty(argument(inputs, names.argument))];
  return firstOf(candidates, parseIds, fromSecurityContext(inputs, names.field), problems);
}

/**
 * Root counts as 1337, as in Istio: to exempt uid 0 would let every root process past the proxy. A sidecar that says root does not run
 * with the pod's id, so the pod's is not asked for either: it is the application's, and would exempt that.
 */
function fromSecurityContext(inputs: Inputs, field: 'runAsUser' | 'runAsGroup'): Sourced<readonly number[]> {
  const places = [
    { key: `${inputs.proxy?.name ?? 'sidecar'}.securityContext.${field}`, id: inputs.proxy?.securityContext[field] },
    // The pod's gid is the application's too, and would exempt it; the proxy's uid alone is enough to know its traffic by.
    ...(field === 'runAsUser'
      ? [{ key: 'spec.securityContext.runAsUser', id: inputs.pod.securityContext.runAsUser }]
      : []),
  ];
  const said = places.find(({ id }) => id !== undefined);
  if (said?.id === undefined || said.id === 0) return istioDefault([ISTIO_PROXY_ID]);
  return { value: [said.id], source: { kind: 'securityContext', key: said.key, raw: String(said.id) } };
}
