import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The checkout this lab belongs to. */
export const checkout = resolve(import.meta.dirname, '..');

/** State that people and tests read; a contract (design: "the front door"). */
export const lab = {
  directory: join(checkout, '.lab'),
  bin: join(checkout, '.lab', 'bin'),
  logs: join(checkout, '.lab', 'logs'),
  kubeconfig: join(checkout, '.lab', 'kubeconfig'),
  /** Where the node's runtime answers to CRI, whichever it is. */
  containerdSocket: join(checkout, '.lab', 'containerd.sock'),
  /** Docker's own, if it is the runtime. */
  dockerSocket: join(checkout, '.lab', 'docker.sock'),
} as const;

/** Machine-wide: a machine holds one lab, and the next one must find what a vanished checkout left. */
export const run = {
  directory: '/run/istio-pod-network-controller-lab',
  owner: '/run/istio-pod-network-controller-lab/owner.json',
  processes: '/run/istio-pod-network-controller-lab/processes',
  containerdState: '/run/istio-pod-network-controller-lab/containerd',
} as const;

/** Heavy state: short paths (sockets are limited to 107 bytes) on a disk that can hold overlay mounts. */
const varDirectory = '/var/lib/istio-pod-network-controller-lab';
export const data = {
  directory: varDirectory,
  pki: join(varDirectory, 'pki'),
  config: join(varDirectory, 'config'),
  etcd: join(varDirectory, 'etcd'),
  containerd: join(varDirectory, 'containerd'),
  docker: join(varDirectory, 'docker'),
  criDockerd: join(varDirectory, 'cri-dockerd'),
  kubelet: join(varDirectory, 'kubelet'),
  podLogs: join(varDirectory, 'pod-logs'),
  cni: join(varDirectory, 'cni'),
} as const;

/** Where every node has them; what the product's chart expects. */
export const containerdSocket = '/run/containerd/containerd.sock';
export const nriSocket = '/var/run/nri/nri.sock';
/** In folders of their own, which can be made shared mounts as all of /run is on a systemd host. */
export const dockerSocket = '/run/docker/docker.sock';
export const criDockerdSocket = '/run/cri-dockerd/cri-dockerd.sock';

/** The bridge carries the node's address, so nothing of the lab listens on a real interface. */
export const network = {
  bridge: 'istiolab0',
  nodeName: 'lab',
  nodeIpv4: '10.88.0.1',
  nodeIpv6: 'fd00:88::1',
  podCidrIpv4: '10.88.0.0/16',
  podCidrIpv6: 'fd00:88::/64',
  serviceCidrIpv4: '10.96.0.0/16',
  serviceCidrIpv6: 'fd00:96::/112',
  apiServiceIp: '10.96.0.1',
  dnsServiceIp: '10.96.0.10',
  guardTable: 'istio_lab_guard',
} as const;

/** TCP ports the lab listens on, by process. */
export const ports = {
  apiserver: 6443,
  etcdClient: 2379,
  etcdPeer: 2380,
  kubelet: 10250,
  kubeletHealthz: 10248,
  kubeProxyMetrics: 10249,
  kubeProxyHealthz: 10256,
  controllerManager: 10257,
  scheduler: 10259,
} as const;

/** The cgroup every process of the lab lives in: `daemons` below it for ours, `kubepods` for the pods. */
export const cgroupName = 'istio-pod-network-controller-lab';

/** What was built stays outside the tree: another clone of the same commit finds it. */
export function cacheDirectory(): string {
  const base = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(base, 'istio-pod-network-controller');
}
