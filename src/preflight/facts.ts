/** What could be read of a cluster, or why it could not. */
export type Fact<T> = { readonly known: true; readonly value: T } | { readonly known: false; readonly why: string };

/** Everything the checks look at, gathered once. Recorded as JSON it can be judged anywhere, any time. */
export interface ClusterFacts {
  /** Of the API server: `v1.36.3`. */
  readonly version: Fact<string>;
  /** Names of the API groups it serves. */
  readonly groups: Fact<readonly string[]>;
  /** Resources of admissionregistration.k8s.io/v1. */
  readonly admission: Fact<readonly string[]>;
  readonly permissions: Fact<readonly Permission[]>;
  readonly nodes: Fact<readonly NodeFacts[]>;
  readonly namespaces: Fact<readonly NamespaceFacts[]>;
  readonly pods: Fact<PodsFacts>;
  readonly daemonSets: Fact<readonly DaemonSetFacts[]>;
  /** Istiod's Deployments. */
  readonly istiods: Fact<readonly IstiodFacts[]>;
  /** Settings of Istio's injectors. */
  readonly injectors: Fact<readonly InjectorFacts[]>;
  /** Names of the MutatingWebhookConfigurations that inject Istio's sidecar. */
  readonly injectorWebhooks: Fact<readonly string[]>;
  /** Settings of istio-cni, where it is. */
  readonly cni: Fact<CniFacts | undefined>;
}

/** Something the install does, and whether this user may. */
export interface Permission {
  readonly verb: string;
  /** `daemonsets.apps`. */
  readonly resource: string;
  readonly allowed: boolean;
}

export interface NodeFacts {
  readonly name: string;
  readonly os: string;
  readonly arch: string;
  /** `5.14.0-427.el9.x86_64`. */
  readonly kernel: string;
  /** `containerd://2.3.7`. */
  readonly runtime: string;
  /** Kubelet's: distributions put their name there, `v1.31.1+k3s1`. */
  readonly kubelet: string;
  readonly osImage: string;
}

export interface NamespaceFacts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of ours and of Helm's. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface PodsFacts {
  /** Pods with a sidecar, or with our annotation. */
  readonly pods: readonly MeshPod[];
  /** False when there were too many to read them all. */
  readonly complete: boolean;
}

export interface MeshPod {
  readonly namespace: string;
  readonly name: string;
  /** Value of its own `initialize` annotation. */
  readonly initialize: string | undefined;
  readonly sidecar: boolean;
  /** What waits or captures in it. */
  readonly init: 'gate' | 'runtime' | 'istio-init' | 'istio-validation' | 'none';
  /** The agent's status annotation is there. */
  readonly reported: boolean;
}

export interface DaemonSetFacts {
  readonly namespace: string;
  readonly name: string;
  readonly images: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly hostPid: boolean;
  readonly privileged: boolean;
}

export interface IstiodFacts {
  readonly namespace: string;
  readonly name: string;
  readonly revision: string;
  readonly image: string;
  readonly available: number;
}

/** One of the ConfigMaps `istio-sidecar-injector[-REVISION]`, with the mesh settings of the same revision. */
export interface InjectorFacts {
  readonly revision: string;
  readonly cniEnabled: boolean;
  readonly cniProvider: string;
  readonly platform: string;
  /** `global.proxy.seccompProfile.type`; empty: not set. */
  readonly seccompProfile: string;
  readonly nativeNftables: boolean;
  /** Of the whole mesh; pods may say otherwise. */
  readonly interceptionMode: string;
}

export interface CniFacts {
  readonly namespace: string;
  readonly ambient: boolean;
  /** Namespaces whose pods it leaves alone. */
  readonly excludedNamespaces: readonly string[];
}

export function known<T>(value: T): Fact<T> {
  return { known: true, value };
}
