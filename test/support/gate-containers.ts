/** The containers that the table of gate cases is made of, as Istio injects them and as people write them. */

export type Fields = Readonly<Record<string, unknown>>;

export const GATE = 'istio-pod-network-controller-gate';

export const RESOLVED = [
  ...['istio-iptables', '-p', '15001', '-z', '15006', '-u', '1337', '-m', 'REDIRECT'],
  ...['-i', '*', '-x', '', '-b', '*', '-d', '15090,15021,15020', '--log_output_level=default:info'],
];
export const RESOLVED_TPROXY = RESOLVED.map((word) => (word === 'REDIRECT' ? 'TPROXY' : word));
export const VALIDATION = [...RESOLVED, '--run-validation', '--skip-rule-apply'];

export const ISTIO_RESOURCES = {
  limits: { cpu: '2', memory: '1Gi' },
  requests: { cpu: '100m', memory: '128Mi' },
};

export const istioInit: Fields = {
  name: 'istio-init',
  image: 'docker.io/istio/proxyv2:lab',
  args: RESOLVED,
  resources: ISTIO_RESOURCES,
  securityContext: {
    allowPrivilegeEscalation: false,
    privileged: false,
    capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
    readOnlyRootFilesystem: false,
    runAsGroup: 0,
    runAsUser: 0,
    runAsNonRoot: false,
  },
};

export const istioValidation: Fields = {
  name: 'istio-validation',
  image: 'docker.io/istio/proxyv2:lab',
  args: VALIDATION,
  resources: ISTIO_RESOURCES,
  securityContext: securityContextOf(1337),
};

/** As on OpenShift: the proxy's uid is the last one of the Namespace's range. */
export const OPENSHIFT_UID = 1_000_689_999;
export const OPENSHIFT_VALIDATION = VALIDATION.map((word) => (word === '1337' ? String(OPENSHIFT_UID) : word));
export const openShiftValidation: Fields = {
  ...istioValidation,
  args: OPENSHIFT_VALIDATION,
  securityContext: securityContextOf(OPENSHIFT_UID),
};

export const proxy: Fields = { name: 'istio-proxy', image: 'docker.io/istio/proxyv2:lab', args: ['proxy', 'sidecar'] };
export const nativeProxy: Fields = { ...proxy, restartPolicy: 'Always' };
export const userInit: Fields = { name: 'migrate', image: 'docker.io/example/app:1' };
export const secondInit: Fields = { name: 'warm-up', image: 'docker.io/example/app:1' };
export const app: Fields = { name: 'app', image: 'docker.io/example/app:1' };
export const writtenGate: Fields = { name: GATE, image: 'docker.io/example/gate:1', args: ['init'] };

/** What Istio 1.30 injects into most pods. */
export const stock: Fields = { initContainers: [istioInit, nativeProxy], containers: [app] };

export const LITERAL_ENV = { name: 'ISTIO_META_DNS_CAPTURE', value: 'true' };
export const FIELD_ENV = { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } };
export const CONFIG_ENV = { name: 'INVALID_DROP', valueFrom: { configMapKeyRef: { name: 'mesh', key: 'drop' } } };

function securityContextOf(id: number): Fields {
  return {
    allowPrivilegeEscalation: false,
    privileged: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    runAsGroup: id,
    runAsUser: id,
    runAsNonRoot: true,
  };
}
