/**
 * Why a pod takes part in the mesh or not. Each code stands in `docs/reasons.md`, which is tested against this table.
 * Codes are a contract: they appear in Events, annotations, marks, metrics and `explain`.
 */
export const REASONS = {
  Enrolled: 'The pod takes part: its traffic is captured.',
  CaptureNone: 'The pod takes part with interceptionMode NONE: nothing is captured, the gate opens.',
  HostNetwork: "The pod uses the node's own network.",
  Terminated: 'The pod has ended, or its phase is not Pending or Running.',
  OpenShiftBuild: 'The pod is an OpenShift build or deployer pod.',
  NamespaceExcluded: 'The namespace is on the exclude list.',
  OptedOut: 'The pod is annotated istio-pod-network-controller/initialize: "false".',
  NotSelected: 'Neither the pod nor its namespace asks for capture.',
  InjectionDisabled: 'The pod has sidecar.istio.io/inject: "false".',
  EnvoyDisabled: 'The proxy runs with DISABLE_ENVOY=true.',
  NotASidecar: 'The proxy container is not a sidecar (its arguments say router, waypoint or another role).',
  NoSidecar: 'The pod asks for capture but has no proxy container; redirecting it would cut it off.',
  SelfCaptured: 'The pod still has a privileged istio-init, which programs the rules itself.',
  InvalidSelection: 'The annotation istio-pod-network-controller/initialize is neither "true" nor "false".',
  InvalidCapturePolicy: 'A traffic setting of the pod cannot be parsed; the gate stays shut.',
} as const;

export type ReasonCode = keyof typeof REASONS;

/** What enrollment says about a pod, before its traffic settings are read. */
export interface Decision {
  readonly action: 'ignore' | 'enroll' | 'refuse';
  readonly reason: ReasonCode;
  /** One line for people, naming the key and value that decided. */
  readonly message: string;
  /** True when the pod's owner should hear of it through a Warning Event. */
  readonly warn: boolean;
}
