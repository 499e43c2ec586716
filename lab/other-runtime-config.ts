import { join } from 'node:path';
import { cni } from './cni-config.ts';
import { images } from './images.ts';
import { containerdSocket, data, dockerSocket, run } from './paths.ts';

/** containerd 1.6: another version of the file, and no NRI. */
export function containerd16Config(binFolder: string, registries: string): string {
  return `version = 2
root = "${data.containerd}"
state = "${run.containerdState}"
disabled_plugins = ["io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${containerdSocket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${images.pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "${join(binFolder, 'runc')}"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cni.systemBinFolder}"
    conf_dir = "${cni.confFolder}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${registries}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${join(data.directory, 'opt')}"
`;
}

/** Docker without networks of its own: pods get theirs by CNI, and the host's rules are the lab's. Its containerd is its own child. */
export function dockerConfig(): string {
  const config = {
    hosts: [`unix://${dockerSocket}`],
    'data-root': data.docker,
    // Where it is by default: network namespaces are in its folder netns.
    'exec-root': '/var/run/docker',
    pidfile: join(run.directory, 'docker.pid'),
    bridge: 'none',
    iptables: false,
    ip6tables: false,
    'ip-forward': false,
    'userland-proxy': false,
    'exec-opts': ['native.cgroupdriver=cgroupfs'],
    // A pull of an image that was not loaded must fail here and at once, not ask the world.
    proxies: { 'http-proxy': 'http://127.0.0.1:9', 'https-proxy': 'http://127.0.0.1:9' },
  };
  return JSON.stringify(config, null, 2);
}
