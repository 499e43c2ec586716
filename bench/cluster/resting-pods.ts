import { appPod, waitReady } from '../../test/support/cluster-pods.ts';
import { INITIALIZE } from '../../test/support/cluster.ts';
import { createPod } from './api.ts';
import { proxyContainer } from './proxy-container.ts';

const READY_TIMEOUT_MS = 300_000;

/** Real pods that stay: an application, and what stands where the sidecar would. Returns when all are Ready. */
export async function createRestingPods(
  namespace: string,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  const names = Array.from({ length: to - from }, (_, index) => `rest-${from + index}`);
  for (const name of names) await createPod(namespace, restingPod(name));
  if (names.length > 0) await waitReady(namespace, names, READY_TIMEOUT_MS);
}

function restingPod(name: string): object {
  return appPod(name, {
    annotations: { [INITIALIZE]: 'true' },
    containers: [proxyContainer(['echo', '--listen', ':15001'])],
    spec: { automountServiceAccountToken: false },
  });
}
