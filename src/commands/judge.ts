import { type Desired, type DesiredOptions, desiredFor } from '../agent/desired.ts';
import type { CaptureDefaults } from '../capture/policy.ts';
import { resolveFlags, type Values } from '../config/flag.ts';
import { POLICY_FLAGS } from '../config/flags.ts';
import { ControllerError } from '../errors.ts';
import type { Namespace, Pod } from '../pod/pod.ts';
import type { Given } from './given.ts';

/** What enrollment and capture need of the flags; the same for the agent and for verbs on manifests. */
export function desiredOptions(flags: Values<typeof POLICY_FLAGS>, ownNamespace: string | undefined): DesiredOptions {
  const defaults: CaptureDefaults = {
    outboundPort: flags.envoyPort,
    mode: flags.mode,
    inboundPorts: undefined,
    excludeInboundPorts: flags.excludeInboundPorts,
    outboundRanges: flags.includeOutboundRanges,
    excludeOutboundRanges: flags.excludeOutboundRanges,
    ipv6: flags.ipv6,
  };
  const excludedNamespaces = [...flags.excludeNamespaces, ...(ownNamespace === undefined ? [] : [ownNamespace])];
  return { defaults, enrollment: { excludedNamespaces, enroll: flags.enroll, sidecarName: flags.sidecarName } };
}

/** Decision, policy and rules for a manifest's pod. */
export function judge(pod: Pod, namespace: Namespace, given: Given): Desired {
  const flags = resolveFlags(POLICY_FLAGS, given, process.env);
  // A manifest has no phase yet: it is judged as the pod it will be.
  return desiredFor(pod.phase === '' ? { ...pod, phase: 'Pending' } : pod, namespace, desiredOptions(flags, undefined));
}

/** The capture of a pod that takes part; otherwise `ManifestInvalid` with the decision. */
export function requireCapture(pod: Pod, namespace: Namespace, given: Given): Extract<Desired, { kind: 'capture' }> {
  const desired = judge(pod, namespace, given);
  if (desired.kind === 'capture') return desired;
  throw new ControllerError(
    'ManifestInvalid',
    `pod ${pod.namespace}/${pod.name} is not captured: ${desired.decision.reason}: ${desired.decision.message}`,
  );
}
