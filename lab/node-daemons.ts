import { createConnection } from 'node:net';
import { join } from 'node:path';
import { tryCommand } from './command.ts';
import type { Daemon } from './daemon.ts';
import { configs, kubeconfigPath } from './node-config.ts';
import { containerdSocket, data, network, ports } from './paths.ts';
import { httpOk } from './probe.ts';

/** containerd with NRI. Its shim must be the first on PATH. */
export function containerd(bin: string): Daemon {
  return {
    name: 'containerd',
    argv: [join(bin, 'containerd'), '--config', configs.containerd, '--log-level', 'info'],
    env: { PATH: `${bin}:${systemPath()}` },
    ready: async () => (await tryCommand([join(bin, 'ctr'), '--address', containerdSocket, 'version'])).code === 0,
    readyTimeoutMs: 60_000,
  };
}

/** kubelet; dual-stack by its two node addresses. */
export function kubelet(bin: string): Daemon {
  return {
    name: 'kubelet',
    argv: [
      join(bin, 'kubelet'),
      `--config=${configs.kubelet}`,
      `--kubeconfig=${kubeconfigPath('kubelet')}`,
      `--root-dir=${data.kubelet}`,
      `--hostname-override=${network.nodeName}`,
      `--node-ip=${network.nodeIpv4},${network.nodeIpv6}`,
    ],
    env: { PATH: `${configs.tools}:/usr/bin:/bin` },
    ready: () => httpOk(`http://127.0.0.1:${ports.kubeletHealthz}/healthz`),
    readyTimeoutMs: 60_000,
  };
}

/** kube-proxy in nftables mode. */
export function kubeProxy(bin: string): Daemon {
  return {
    name: 'kube-proxy',
    argv: [join(bin, 'kube-proxy'), `--config=${configs.kubeProxy}`],
    env: { PATH: `${configs.tools}:/usr/bin:/bin` },
    ready: () => httpOk(`http://127.0.0.1:${ports.kubeProxyHealthz}/healthz`),
    readyTimeoutMs: 60_000,
  };
}

/** True if something accepts connections on this Unix socket. */
export function socketAnswers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function systemPath(): string {
  return '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
}
