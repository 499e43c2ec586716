import type { JsonObject } from '../json.ts';

/** A pod as Istio's webhook leaves it, annotated by itself unless told otherwise. */
export function injectedPod(
  annotations: Readonly<Record<string, string>> = { 'istio-pod-network-controller/initialize': 'true' },
): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: 'reviews-',
      annotations,
      labels: { app: 'reviews' },
      ownerReferences: [{ fromTheFuture: 1 }],
    },
    spec: {
      initContainers: [
        {
          name: 'istio-init',
          image: 'proxy',
          args: ['istio-iptables', '-p', '15001'],
          securityContext: { runAsUser: 0 },
        },
        { name: 'istio-proxy', image: 'proxy', args: ['proxy', 'sidecar'], restartPolicy: 'Always' },
      ],
      containers: [{ name: 'app', image: 'app', fieldOfANewerApi: { deep: [1, { x: null }] } }],
      schedulingGates: [{ name: 'example.com/wait' }],
    },
  };
}

/** An AdmissionReview as the API server sends it. */
export function reviewOf(object: unknown, changes: JsonObject = {}): JsonObject {
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: 'a-uid',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      requestKind: { group: '', version: 'v1', kind: 'Pod' },
      namespace: 'shop',
      operation: 'CREATE',
      userInfo: { username: 'system:serviceaccount:kube-system:replicaset-controller' },
      object,
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' },
      ...changes,
    },
  };
}

export const GATE_SETTINGS = {
  mode: 'container',
  nodeSelector: {},
  name: 'istio-pod-network-controller-gate',
  image: 'gate:1',
  imagePullPolicy: 'IfNotPresent',
  args: ['--timeout=300'],
  resources: {},
  enroll: 'annotated',
  sidecarName: 'istio-proxy',
} as const;
