import { type Desired, type DesiredOptions, desiredFor } from '../agent/desired.ts';
import type { CaptureDefaults } from '../capture/policy.ts';
import { resolveFlags, type Values } from '../config/flag.ts';
import { POLICY_FLAGS } from '../config/flags.ts';
import { ControllerError } from '../errors.ts';
import { podKey } from '../pod/pod.ts';
import { type Given, required } from './given.ts';
import { type GivenPod, readOnePod, readPods } from './manifest.ts';

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

/** A pod of a manifest with its decision, and with policy and rules if it is captured. */
export interface JudgedPod extends GivenPod {
  readonly desired: Desired;
}

/** The pods that `--filename` and `--namespace-file` name, judged as the agent would. */
export function judgePods(given: Given): readonly JudgedPod[] {
  return readPods(required(given, 'filename'), given['namespaceFile']).map((one) => judge(one, given));
}

/** The same of exactly one pod, which must take part. */
export function judgeCaptured(given: Given): CapturedPod {
  return requireCapture(judge(readOnePod(required(given, 'filename'), given['namespaceFile']), given));
}

export interface CapturedPod extends GivenPod {
  readonly desired: Extract<Desired, { kind: 'capture' }>;
}

/** A pod that takes part; otherwise `ManifestInvalid` with the decision. */
export function requireCapture({ desired, ...one }: JudgedPod): CapturedPod {
  if (desired.kind === 'capture') return { ...one, desired };
  throw new ControllerError(
    'ManifestInvalid',
    `pod ${podKey(one.pod)} is not captured: ${desired.decision.reason}: ${desired.decision.message}`,
  );
}

function judge(one: GivenPod, given: Given): JudgedPod {
  const { pod, namespace } = one;
  const flags = resolveFlags(POLICY_FLAGS, given, process.env);
  // A manifest has no phase yet: it is judged as the pod it will be.
  const future = pod.phase === '' ? { ...pod, phase: 'Pending' } : pod;
  return { ...one, desired: desiredFor(future, namespace, desiredOptions(flags, undefined)) };
}
