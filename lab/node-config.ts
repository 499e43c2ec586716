import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AUDIT_POLICY, auditPolicyPath } from './audit-policy.ts';
import { cni, writeCniConfig } from './cni-config.ts';
import { cgroupName, containerdSocket, data, network, nriSocket, ports, run } from './paths.ts';
import { containerd16Config, dockerConfig } from './other-runtime-config.ts';
import { criSocketOf, type Runtime } from './runtime.ts';
import { images } from './images.ts';
import { kubeconfig } from './pki.ts';

const pki = (name: string) => join(data.pki, name);

/** Paths of the configuration files that `writeConfigs` makes. */
export const configs = {
  containerd: join(data.config, 'containerd.toml'),
  docker: join(data.config, 'docker.json'),
  kubelet: join(data.config, 'kubelet.json'),
  kubeProxy: join(data.config, 'kube-proxy.json'),
  resolv: join(data.config, 'resolv.conf'),
  registries: join(data.config, 'registries'),
  /** Tools from /usr/sbin that kubelet and kube-proxy may use: not iptables, or they would put chains of their own into the host's tables. */
  tools: join(data.config, 'tools'),
} as const;

/** Where the kubeconfig of a certificate (`kubelet`, `scheduler`, …) is. */
export function kubeconfigPath(file: string): string {
  return join(data.config, `${file}.kubeconfig`);
}

/** Writes every configuration file of the node and the control plane. */
export function writeConfigs(binFolder: string, runtime: Runtime): void {
  for (const folder of [data.config, join(configs.registries, '_default'), configs.tools, data.podLogs]) {
    mkdirSync(folder, { recursive: true });
  }
  for (const file of ['kubelet', 'controller-manager', 'scheduler', 'kube-proxy', 'admin']) {
    writeIfChanged(kubeconfigPath(file), kubeconfig(file), { mode: 0o600 });
  }
  if (runtime === 'docker') writeIfChanged(configs.docker, dockerConfig());
  else writeIfChanged(configs.containerd, CONTAINERD_CONFIGS[runtime](binFolder, configs.registries));
  const kubelet = { ...KUBELET, containerRuntimeEndpoint: `unix://${criSocketOf(runtime)}` };
  writeIfChanged(configs.kubelet, JSON.stringify(kubelet, null, 2));
  writeIfChanged(configs.kubeProxy, JSON.stringify(KUBE_PROXY, null, 2));
  writeIfChanged(auditPolicyPath, JSON.stringify(AUDIT_POLICY, null, 2));
  writeIfChanged(configs.resolv, `nameserver ${network.dnsServiceIp}\n`);
  writeCniConfig();
  if (!existsSync(join(configs.tools, 'nft'))) symlinkSync('/usr/sbin/nft', join(configs.tools, 'nft'));
  // A pull of an image that was not loaded must fail here and at once, not ask the world.
  writeIfChanged(join(configs.registries, '_default', 'hosts.toml'), 'server = "http://127.0.0.1:9"\n');
}

/** kube-proxy ends when its configuration file is written, even with the same text. */
function writeIfChanged(path: string, text: string, options: { readonly mode?: number } = {}): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  writeFileSync(path, text, options);
}

function containerdConfig(binFolder: string): string {
  return `version = 3
root = "${data.containerd}"
state = "${run.containerdState}"
disabled_plugins = ["io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
# (restrict_oom_score_adj) Without CAP_SYS_RESOURCE runc cannot lower a score, and dies with "can't get final child's PID from pipe".
[grpc]
  address = "${containerdSocket}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "${join(binFolder, 'runc')}"
        SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["${cni.systemBinFolder}", "${cni.binFolder}"]
    conf_dir = "${cni.confFolder}"
[plugins."io.containerd.cri.v1.images"]
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "${images.pause}"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "${configs.registries}"
[plugins."io.containerd.nri.v1.nri"]
  disable = false
  socket_path = "${nriSocket}"
  plugin_path = "${join(data.directory, 'nri', 'plugins')}"
  plugin_config_path = "${join(data.directory, 'nri', 'conf.d')}"
  # For pods without a gate. It concerns those alone that require a plugin by annotation.
  [plugins."io.containerd.nri.v1.nri".default_validator]
    enable = true
[plugins."io.containerd.internal.v1.opt"]
  path = "${join(data.directory, 'opt')}"
`;
}

const CONTAINERD_CONFIGS = { containerd: containerdConfig, 'containerd-1.6': containerd16Config };

const KUBELET = {
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  address: network.nodeIpv4,
  port: ports.kubelet,
  healthzBindAddress: '127.0.0.1',
  healthzPort: ports.kubeletHealthz,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: `/${cgroupName}`,
  failCgroupV1: false,
  failSwapOn: false,
  authentication: { x509: { clientCAFile: pki('ca.crt') }, webhook: { enabled: true }, anonymous: { enabled: false } },
  authorization: { mode: 'Webhook' },
  tlsCertFile: pki('kubelet.crt'),
  tlsPrivateKeyFile: pki('kubelet.key'),
  clusterDNS: [network.dnsServiceIp],
  clusterDomain: 'cluster.local',
  resolvConf: join(data.config, 'resolv.conf'),
  podLogsDir: data.podLogs,
  volumePluginDir: join(data.directory, 'volume-plugins'),
  maxPods: 250,
  // A machine of this size is allowed to be full: nothing here may be evicted or collected for that.
  evictionHard: {
    'memory.available': '0%',
    'nodefs.available': '0%',
    'nodefs.inodesFree': '0%',
    'imagefs.available': '0%',
  },
  imageGCHighThresholdPercent: 100,
  imageMinimumGCAge: '24h',
  localStorageCapacityIsolation: false,
  oomScoreAdj: 0,
  serializeImagePulls: false,
};

const KUBE_PROXY = {
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'nftables',
  clientConnection: { kubeconfig: kubeconfigPath('kube-proxy') },
  hostnameOverride: network.nodeName,
  clusterCIDR: `${network.podCidrIpv4},${network.podCidrIpv6}`,
  bindAddress: '127.0.0.1',
  healthzBindAddress: `127.0.0.1:${ports.kubeProxyHealthz}`,
  metricsBindAddress: `127.0.0.1:${ports.kubeProxyMetrics}`,
  oomScoreAdj: 0,
  conntrack: { maxPerCore: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
};
