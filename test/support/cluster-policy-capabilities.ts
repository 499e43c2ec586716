import { readFileSync } from 'node:fs';
import { at, kubectl, kubectlJson, listAt, textAt, tryKubectl } from './cluster.ts';
import { AGENT_NAMESPACE } from './cluster-pods.ts';

/** include/uapi/linux/capability.h */
export const CAPABILITIES = { NET_ADMIN: 1n << 12n, SYS_ADMIN: 1n << 21n } as const;
export type Capability = keyof typeof CAPABILITIES;

/** A pod as the chart's DaemonSet makes them, but with these capabilities only, and not one of the DaemonSet's. */
export async function createAgentWith(name: string, capabilities: readonly Capability[]): Promise<void> {
  const daemonSet = await kubectlJson(['get', 'daemonset', '-n', AGENT_NAMESPACE, 'istio-pod-network-controller']);
  const template = at(daemonSet, 'spec', 'template');
  const spec = Object(at(template, 'spec'));
  const containers = listAt(spec, 'containers').map((container) => ({
    ...Object(container),
    securityContext: {
      ...Object(at(container, 'securityContext')),
      capabilities: { drop: ['ALL'], add: capabilities },
    },
  }));
  const metadata = {
    name,
    namespace: AGENT_NAMESPACE,
    labels: { 'sidecar.istio.io/inject': 'false' },
    annotations: at(template, 'metadata', 'annotations'),
  };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, containers, nodeSelector: {} } };
  await kubectl(['create', '-f', '-'], { input: JSON.stringify(pod) });
}

export async function deleteAgent(name: string): Promise<void> {
  await kubectl(['delete', 'pod', '-n', AGENT_NAMESPACE, '--ignore-not-found', '--timeout=60s', name]);
}

/** What the agent's container said, its previous run included. */
export async function saidBy(name: string): Promise<string> {
  const logs = ['logs', '-n', AGENT_NAMESPACE, name];
  const [now, before] = [await tryKubectl(logs), await tryKubectl([...logs, '--previous'])];
  return `${before.stdout}${now.stdout}`;
}

export async function isReady(name: string): Promise<boolean> {
  const pod = await kubectlJson(['get', 'pod', '-n', AGENT_NAMESPACE, name]);
  const ready = listAt(pod, 'status', 'conditions').find((condition) => at(condition, 'type') === 'Ready');
  return textAt(ready, 'status') === 'True';
}

/** A mount of a process. */
export interface Mount {
  readonly path: string;
  readonly readOnly: boolean;
}

/** /proc/PID/mountinfo (proc_pid_mountinfo(5)): mount point and the mount's own options. */
export function mountsOf(pid: number): readonly Mount[] {
  const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
  return lines.map((line) => {
    const [, , , , path = '', options = ''] = line.split(' ');
    return { path, readOnly: options.split(',').includes('ro') };
  });
}

/** `0` none, `2` a filter (proc_pid_status(5)). */
export function seccompOf(pid: number): string {
  return /^Seccomp:\s*(\d)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
}
