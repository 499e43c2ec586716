import { join } from 'node:path';
import { cni, istioCniIsChained, resetCniConfig } from './cni-config.ts';
import { ensureRelease, removeRelease } from './helm.ts';
import { imageArchive, images } from './images.ts';
import { kubectl } from './kubectl.ts';
import { loadNewImages } from './loaded-images.ts';
import type { Parts } from './parts.ts';
import { poll } from './poll.ts';

const RELEASE = 'istio-cni';

/** Installs Istio's own CNI plugin on this node by its own chart; returns when new pods pass through it. */
export async function installIstioCni(parts: Parts, namespace: string, extraValues: object): Promise<void> {
  await loadNewImages([await imageArchive(parts, images.installCni)]);
  const values = {
    global: { hub: 'docker.io/istio', tag: 'lab', imagePullPolicy: 'IfNotPresent', ...globalOf(extraValues) },
    cniBinDir: cni.binFolder,
    cniConfDir: cni.confFolder,
    cniConfFileName: cni.confFile,
    resources: { requests: { cpu: '10m', memory: '32Mi' } },
  };
  await ensureRelease(namespace, { name: RELEASE, chart: join(parts.charts, 'istio-cni'), values });
  const rollout = ['rollout', 'status', '-n', namespace, 'daemonset/istio-cni-node', '--timeout=90s'];
  await kubectl(rollout);
  await poll(async () => istioCniIsChained(), {
    what: "Istio's plugin is in the CNI configuration",
    timeoutMs: 30_000,
  });
}

/**
 * Uninstalls it, if it is there. Istio's pod takes itself out of the configuration when it ends; one that was killed does not,
 * so what is left is put back by hand.
 */
export async function removeIstioCni(namespace: string): Promise<void> {
  if (await removeRelease(namespace, RELEASE)) {
    const pods = ['get', 'pods', '-n', namespace, '-l', 'k8s-app=istio-cni-node', '-o', 'name'];
    await poll(async () => (await kubectl(pods)).trim() === '', { what: 'istio-cni-node is gone', timeoutMs: 60_000 });
  }
  resetCniConfig();
}

/** What of istiod's values both charts know, such as `nativeNftables`. */
function globalOf(values: object): object {
  const nativeNftables: unknown = Reflect.get(Reflect.get(values, 'global') ?? {}, 'nativeNftables');
  return nativeNftables === undefined ? {} : { nativeNftables };
}
