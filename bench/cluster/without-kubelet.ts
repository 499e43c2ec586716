import { network } from '../../lab/paths.ts';
import { startProcess, stopProcess } from '../../lab/restart.ts';
import { call } from './api.ts';

const RENEW_EVERY_MS = 10_000;

/**
 * Does `work` while no kubelet runs. Its lease on the node is renewed meanwhile, or the control plane would believe the node dead and move
 * what runs there.
 */
export async function withoutKubelet<T>(work: () => Promise<T>): Promise<T> {
  await stopProcess('kubelet');
  const renewing = setInterval(() => void renewLease().catch(() => undefined), RENEW_EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(renewing);
    await startProcess('kubelet');
  }
}

async function renewLease(): Promise<void> {
  // Kubernetes wants microseconds there.
  const renewTime = new Date().toISOString().replace('Z', '000Z');
  const path = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${network.nodeName}`;
  await call({ method: 'PATCH', path, body: { spec: { renewTime } } });
}
