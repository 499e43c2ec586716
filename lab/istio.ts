import { join } from 'node:path';
import { ensureRelease, listReleases, mergeValues, removeRelease } from './helm.ts';
import { installIstioCni, removeIstioCni } from './istio-cni.ts';
import type { IstioMode } from './istio-mode.ts';
import { kubectl, waitAvailable } from './kubectl.ts';
import type { Parts } from './parts.ts';
import { poll } from './poll.ts';

const NAMESPACE = 'istio-system';
const REVISION_RELEASE = 'istiod-';

/** What else `installIstio` can be told. */
export interface IstioOptions {
  /** Values of istiod's chart over the lab's own; `global.nativeNftables` reaches the plugin's chart too. */
  readonly extraValues?: object;
  /**
   * Installs a second istiod under this revision beside the default one, which stays as it is. Pods choose it by the label
   * `istio.io/rev` on them or their namespace. The node's plugin is left as it is too: a node has one.
   */
  readonly revision?: string;
}

/**
 * Installs or updates istio-base and one istiod, in the given mode; returns when pods that are made now are injected accordingly.
 * Without a revision also installs or removes Istio's CNI plugin, as the mode says.
 */
export async function installIstio(parts: Parts, mode: IstioMode, options: IstioOptions = {}): Promise<void> {
  const { revision, extraValues = {} } = options;
  await ensureRelease(NAMESPACE, { name: 'istio-base', chart: join(parts.charts, 'base'), values: {} });
  if (revision === undefined && mode === 'istio-cni-plugin') await installIstioCni(parts, NAMESPACE, extraValues);
  const own = mergeValues(istiodValues(mode), revision === undefined ? {} : { revision });
  const name = revision === undefined ? 'istiod' : `${REVISION_RELEASE}${revision}`;
  const before =
    (await kubectl(['-n', NAMESPACE, 'get', 'deployment', name, '--ignore-not-found', '-o', 'name'])) !== '';
  const chart = join(parts.charts, 'istio-control', 'istio-discovery');
  const changed = await ensureRelease(NAMESPACE, { name, chart, values: mergeValues(own, extraValues) });
  if (before && changed) await restartIstiod(name, revision ?? 'default');
  await waitAvailable(NAMESPACE, name, 120_000);
  // A Service has its endpoint on the node a moment after its pod is ready, and the API server asks the injector through it.
  await poll(() => injects(revision), { what: `${name} injects a pod`, timeoutMs: 60_000 });
  if (revision === undefined && mode !== 'istio-cni-plugin') await removeIstioCni(NAMESPACE);
}

/** Asks the API server what it would make of a pod that wants this istiod's sidecar. Nothing is stored. */
async function injects(revision: string | undefined): Promise<boolean> {
  const labels = { 'sidecar.istio.io/inject': 'true', ...(revision === undefined ? {} : { 'istio.io/rev': revision }) };
  const spec = { automountServiceAccountToken: false, containers: [{ name: 'app', image: 'app' }] };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'asks-for-istio', labels }, spec };
  const create = ['create', '-n', 'default', '--dry-run=server', '-o', 'json', '-f', '-'];
  try {
    return (await kubectl(create, { input: JSON.stringify(pod) })).includes('"istio-proxy"');
  } catch {
    return false;
  }
}

/** Removes the istiod of a revision; its proxies must be gone. */
export async function removeIstioRevision(revision: string): Promise<void> {
  await removeRelease(NAMESPACE, `${REVISION_RELEASE}${revision}`);
}

/** Makes Istio what a fresh lab has in this mode: one istiod, with the lab's own values unless others are given. */
export async function resetIstio(
  parts: Parts,
  mode: IstioMode,
  options: Pick<IstioOptions, 'extraValues'> = {},
): Promise<void> {
  await installIstio(parts, mode, options);
  for (const { name } of await listReleases(NAMESPACE))
    if (name.startsWith(REVISION_RELEASE)) await removeRelease(NAMESPACE, name);
}

/**
 * Upstream Envoy lacks Istio's own filters (istio.stats, metadata exchange, istio.alpn) and rejects listeners that name them,
 * so what would put them there is off. Requests are small: twenty mesh pods must fit on two cores.
 */
function istiodValues(mode: IstioMode): object {
  return {
    global: {
      hub: 'docker.io/istio',
      tag: 'lab',
      imagePullPolicy: 'IfNotPresent',
      defaultPodDisruptionBudget: { enabled: false },
      proxy: { resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { cpu: '2000m', memory: '1024Mi' } } },
    },
    autoscaleEnabled: false,
    resources: { requests: { cpu: '50m', memory: '128Mi' } },
    cni: { enabled: mode !== 'istio-init', provider: 'default' },
    env: { PILOT_ENABLE_METADATA_EXCHANGE: 'false', PILOT_ENABLE_ALPN_FILTER: 'false', CLOUD_PLATFORM: 'none' },
    meshConfig: {
      defaultProviders: { metrics: [] },
      enablePrometheusMerge: false,
      // Else every proxy asks the metadata services of three clouds, which the guard would count as escapes.
      defaultConfig: { proxyMetadata: { CLOUD_PLATFORM: 'none' } },
    },
  };
}

/** istiod learns of new values some time later; one that starts now has them. The old one must be gone, for the API server keeps its connection. */
async function restartIstiod(name: string, revision: string): Promise<void> {
  await kubectl(['-n', NAMESPACE, 'rollout', 'restart', `deployment/${name}`]);
  await kubectl(['-n', NAMESPACE, 'rollout', 'status', `deployment/${name}`, '--timeout=90s']);
  const selector = `app=istiod,istio.io/rev=${revision}`;
  const pods = async () =>
    (await kubectl(['-n', NAMESPACE, 'get', 'pods', '-l', selector, '-o', 'name'])).trim().split('\n');
  await poll(async () => (await pods()).length === 1, { what: `the former ${name} is gone`, timeoutMs: 60_000 });
}
