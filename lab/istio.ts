import { join } from 'node:path';
import { command, tryCommand } from './command.ts';
import { waitAvailable } from './kubectl.ts';
import type { Owner } from './owner.ts';
import type { Parts } from './parts.ts';
import { lab } from './paths.ts';

const NAMESPACE = 'istio-system';

/**
 * Istio by its own charts. Upstream Envoy lacks Istio's own filters (istio.stats, metadata exchange, istio.alpn) and rejects listeners
 * that name them, so what would put them there is off. Requests are small: twenty mesh pods must fit on two cores.
 */
function istiodValues(mode: Owner['mode']): object {
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
    cni: { enabled: mode === 'istio-cni', provider: 'default' },
    env: { PILOT_ENABLE_METADATA_EXCHANGE: 'false', PILOT_ENABLE_ALPN_FILTER: 'false', CLOUD_PLATFORM: 'none' },
    meshConfig: {
      defaultProviders: { metrics: [] },
      enablePrometheusMerge: false,
      // Else every proxy asks the metadata services of three clouds, which the guard would count as escapes.
      defaultConfig: { proxyMetadata: { CLOUD_PLATFORM: 'none' } },
    },
  };
}

/** Installs or updates istio-base and istiod, in the given mode; returns when istiod is available. */
export async function installIstio(parts: Parts, mode: Owner['mode']): Promise<void> {
  await release('istio-base', join(parts.charts, 'base'), {});
  await release('istiod', join(parts.charts, 'istio-control', 'istio-discovery'), istiodValues(mode));
  await waitAvailable(NAMESPACE, 'istiod', 120_000);
}

async function release(name: string, chart: string, values: object): Promise<void> {
  const found = await findRelease(name);
  if (found === 'deployed' && (await hasValues(name, values))) return;
  // A predecessor that was killed leaves a release that Helm believes to be in work.
  if (found?.startsWith('pending') === true) await helm(['uninstall', name, '--namespace', NAMESPACE, '--no-hooks']);
  const args = ['upgrade', '--install', name, chart, '--namespace', NAMESPACE, '--create-namespace', '--values', '-'];
  await helm(args, JSON.stringify(values));
}

async function findRelease(name: string): Promise<string | undefined> {
  const { code, stdout } = await tryCommand([...HELM, 'status', name, '--namespace', NAMESPACE, '-o', 'json'], {
    env: HELM_ENV,
  });
  return code === 0 ? /"status":"([a-z-]+)"/.exec(stdout)?.[1] : undefined;
}

async function hasValues(name: string, values: object): Promise<boolean> {
  const current: unknown = JSON.parse(await helm(['get', 'values', name, '--namespace', NAMESPACE, '-o', 'json']));
  return canonical(current ?? {}) === canonical(values);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

const HELM = [join(lab.bin, 'helm'), '--kubeconfig', lab.kubeconfig];
// Keeps Helm out of the user's own folders.
const helmHome = join(lab.directory, 'helm');
const HELM_ENV = { HELM_CACHE_HOME: helmHome, HELM_CONFIG_HOME: helmHome, HELM_DATA_HOME: helmHome };

function helm(args: readonly string[], input?: string): Promise<string> {
  const options = { env: HELM_ENV, timeoutMs: 180_000 };
  return command([...HELM, ...args], input === undefined ? options : { ...options, input });
}
