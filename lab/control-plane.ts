import { join } from 'node:path';
import { AUDIT_FLAGS } from './audit-policy.ts';
import type { Daemon } from './daemon.ts';
import { kubeconfigPath } from './node-config.ts';
import { data, network, ports } from './paths.ts';
import { httpOk, httpsOk } from './probe.ts';

const pki = (name: string) => join(data.pki, name);

/** etcd on loopback. Its data need not outlive the machine, so it does not wait for the disk. */
export function etcd(bin: string): Daemon {
  const client = `http://127.0.0.1:${ports.etcdClient}`;
  const peer = `http://127.0.0.1:${ports.etcdPeer}`;
  return {
    name: 'etcd',
    argv: [
      join(bin, 'etcd'),
      `--data-dir=${data.etcd}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    ready: () => httpOk(`${client}/readyz`),
    readyTimeoutMs: 30_000,
  };
}

/** The API server, on the bridge's address only. */
export function apiserver(bin: string): Daemon {
  return {
    name: 'kube-apiserver',
    argv: [
      join(bin, 'kube-apiserver'),
      `--advertise-address=${network.nodeIpv4}`,
      `--bind-address=${network.nodeIpv4}`,
      `--secure-port=${ports.apiserver}`,
      `--etcd-servers=http://127.0.0.1:${ports.etcdClient}`,
      `--service-cluster-ip-range=${network.serviceCidrIpv4},${network.serviceCidrIpv6}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      '--anonymous-auth=true',
      `--client-ca-file=${pki('ca.crt')}`,
      `--tls-cert-file=${pki('apiserver.crt')}`,
      `--tls-private-key-file=${pki('apiserver.key')}`,
      `--kubelet-client-certificate=${pki('apiserver-kubelet-client.crt')}`,
      `--kubelet-client-key=${pki('apiserver-kubelet-client.key')}`,
      `--kubelet-certificate-authority=${pki('ca.crt')}`,
      '--kubelet-preferred-address-types=InternalIP',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${pki('service-account.pub')}`,
      `--service-account-signing-key-file=${pki('service-account.key')}`,
      `--requestheader-client-ca-file=${pki('ca.crt')}`,
      '--requestheader-allowed-names=front-proxy-client',
      '--requestheader-username-headers=X-Remote-User',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      `--proxy-client-cert-file=${pki('front-proxy-client.crt')}`,
      `--proxy-client-key-file=${pki('front-proxy-client.key')}`,
      // One API server: a graceful stop must not keep the lab waiting.
      '--shutdown-delay-duration=0s',
      '--profiling=false',
      ...AUDIT_FLAGS,
    ],
    ready: () => httpsOk(`https://${network.nodeIpv4}:${ports.apiserver}/readyz`),
    readyTimeoutMs: 90_000,
  };
}

/** The controllers, each with its own ServiceAccount as in a real cluster. */
export function controllerManager(bin: string): Daemon {
  return {
    name: 'kube-controller-manager',
    argv: [
      join(bin, 'kube-controller-manager'),
      ...clientFlags('controller-manager'),
      '--bind-address=127.0.0.1',
      `--secure-port=${ports.controllerManager}`,
      '--use-service-account-credentials',
      '--leader-elect=false',
      '--controllers=*,-nodeipam',
      `--root-ca-file=${pki('ca.crt')}`,
      `--service-account-private-key-file=${pki('service-account.key')}`,
      `--cluster-signing-cert-file=${pki('ca.crt')}`,
      `--cluster-signing-key-file=${pki('ca.key')}`,
    ],
    ready: () => httpsOk(`https://127.0.0.1:${ports.controllerManager}/healthz`),
    readyTimeoutMs: 60_000,
  };
}

/** The scheduler. */
export function scheduler(bin: string): Daemon {
  return {
    name: 'kube-scheduler',
    argv: [
      join(bin, 'kube-scheduler'),
      ...clientFlags('scheduler'),
      '--bind-address=127.0.0.1',
      `--secure-port=${ports.scheduler}`,
      '--leader-elect=false',
    ],
    ready: () => httpsOk(`https://127.0.0.1:${ports.scheduler}/healthz`),
    readyTimeoutMs: 60_000,
  };
}

function clientFlags(user: string): string[] {
  const path = kubeconfigPath(user);
  return [`--kubeconfig=${path}`, `--authentication-kubeconfig=${path}`, `--authorization-kubeconfig=${path}`];
}
