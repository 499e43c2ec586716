import { appPod, container, type PodOptions } from './cluster-pods.ts';
import { INITIALIZE } from './cluster.ts';

/** Pods as people write them, for what Istio and a carrier of the gate make of them. All pass Pod Security `restricted`. */
export interface PodShape {
  readonly title: string;
  readonly name: string;
  readonly options: PodOptions;
}

const CLASSIC = { 'sidecar.istio.io/nativeSidecar': 'false' };
const own = (name: string) => container(name, ['connect', '--timeout-ms', '300', '192.0.2.79:80']);
const restricted = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };

export const POD_SHAPES: readonly PodShape[] = [
  { title: 'native sidecar', name: 'native', options: {} },
  { title: 'classic sidecar', name: 'classic', options: { annotations: CLASSIC } },
  { title: 'native, own init containers', name: 'native-inits', options: { initContainers: [own('one'), own('two')] } },
  {
    title: 'classic, own init containers',
    name: 'classic-inits',
    options: { annotations: CLASSIC, initContainers: [own('one'), own('two')] },
  },
  {
    title: 'pod-level security context',
    name: 'pod-security',
    options: {
      spec: {
        securityContext: {
          ...restricted,
          runAsUser: 1500,
          runAsGroup: 1600,
          fsGroup: 1700,
          supplementalGroups: [1800],
        },
      },
    },
  },
  {
    title: 'DNS capture, excluded ports',
    name: 'dns-ports',
    options: {
      annotations: {
        'proxy.istio.io/config': 'proxyMetadata: {ISTIO_META_DNS_CAPTURE: "true"}',
        'traffic.sidecar.istio.io/excludeOutboundPorts': '5432',
      },
    },
  },
  { title: 'restartPolicy Never', name: 'never', options: { spec: { restartPolicy: 'Never' } } },
  { title: 'user namespace', name: 'user-namespace', options: { spec: { hostUsers: false } } },
];

/** The pod of a shape, which asks for capture itself. */
export function shapedPod({ name, options }: PodShape, initialize = 'true'): object {
  return appPod(name, { ...options, annotations: { ...options.annotations, [INITIALIZE]: initialize } });
}
