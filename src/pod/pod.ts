/** The narrow view of a Pod: only what enrollment, capture and the loop read. Everything else is dropped at the door. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly nodeName: string;
  /** `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown` or '' when the API has not set it yet. */
  readonly phase: string;
  readonly deleting: boolean;
  readonly hostNetwork: boolean;
  /** False only when the pod has its own user namespace (`hostUsers: false`). */
  readonly hostUsers: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly podIPs: readonly string[];
  /** Of a pod with dnsPolicy None, which has only those; undefined: kubelet knows. */
  readonly nameservers: readonly string[] | undefined;
  readonly securityContext: SecurityContext;
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
}

export interface Container {
  readonly name: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: readonly EnvironmentVariable[];
  readonly securityContext: SecurityContext;
  /** `Always` makes an init container a native sidecar. */
  readonly restartPolicy: string | undefined;
  /** Container ports with their protocol: `TCP`, `UDP`, `SCTP`. */
  readonly ports: readonly { readonly containerPort: number; readonly protocol: string }[];
}

/** `value` is undefined for `valueFrom`: the agent cannot know it, and never guesses it. */
export interface EnvironmentVariable {
  readonly name: string;
  readonly value: string | undefined;
}

export interface SecurityContext {
  readonly runAsUser: number | undefined;
  readonly runAsGroup: number | undefined;
  readonly privileged: boolean;
  readonly addedCapabilities: readonly string[];
}

/** The narrow view of a Namespace. */
export interface Namespace {
  readonly name: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** `namespace/name`, the key of a pod everywhere: store, queue, logs. */
export function podKey(pod: { readonly namespace: string; readonly name: string }): string {
  return `${pod.namespace}/${pod.name}`;
}
