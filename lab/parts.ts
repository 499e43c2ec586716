import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { builtInto, countEntries, keyOf, linkInto } from './cache.ts';
import { ensureEnvoy, envoyIsCached, envoyPath } from './envoy.ts';
import { goBuild, moduleSources } from './go-build.ts';
import { cachedHelm3 } from './helm3.ts';
import {
  DEFAULT_KUBERNETES,
  ensureOtherKubernetes,
  linkerFlags,
  otherKubernetesBin,
  type KubernetesMinor,
} from './kubernetes.ts';
import { DEFAULT_RUNTIME, ensureOtherRuntime, otherRuntimeBin, type Runtime } from './runtime.ts';
import { LabError } from './lab-error.ts';
import { cacheDirectory, lab } from './paths.ts';
import { step } from './progress.ts';

/** Where the parts of a lab are. */
export interface Parts {
  /** Folder with kubelet, containerd, pilot-agent, helm, … and envoy's path apart. */
  readonly bin: string;
  readonly envoy: string;
  /** Istio's charts: base, istio-control/istio-discovery, istio-cni. */
  readonly charts: string;
  /** Istio's template for Envoy's bootstrap. */
  readonly bootstrapTemplate: string;
  /** Names what the lab's images are made of: equal keys, equal images. */
  readonly key: string;
}

const BUILD = ['-trimpath', '-tags=vtprotobuf,disable_pgv', '-ldflags', linkerFlags(DEFAULT_KUBERNETES)] as const;
const RUNC_BUILD = ['-trimpath', '-tags=seccomp', '-ldflags', '-s -w'] as const;
const KEY_FILES = ['go.mod', 'go.sum', 'coredns/main.go', 'runc/go.mod', 'runc/go.sum'] as const;

/** Debian packages that building and running the lab needs. */
export const LAB_PACKAGES = [
  'nftables',
  'libnftables1',
  'iproute2',
  'iptables',
  'containernetworking-plugins',
  'openssl',
  'util-linux',
  'libseccomp2',
] as const;
export const BUILD_PACKAGES = ['gcc', 'libc6-dev', 'libseccomp-dev', 'pkg-config'] as const;

/** True if `ensureParts` would build nothing. */
export function partsAreCached(
  kubernetes: KubernetesMinor = DEFAULT_KUBERNETES,
  runtime: Runtime = DEFAULT_RUNTIME,
): boolean {
  return existsSync(partsDirectory()) && existsSync(binFolder(kubernetes, runtime));
}

/**
 * Builds what is not cached yet, all Go programs in one `go build` so that they share compiled packages, and links everything into .lab/bin.
 * Throws LabError with the compiler's last lines. A build that is ended half-way leaves Go's own caches, and nothing else.
 */
export async function ensureParts(
  kubernetes: KubernetesMinor = DEFAULT_KUBERNETES,
  runtime: Runtime = DEFAULT_RUNTIME,
): Promise<Parts> {
  await Promise.all([ensureEnvoy(), builtInto(partsDirectory(), build)]);
  if (kubernetes !== DEFAULT_KUBERNETES)
    await ensureOtherKubernetes(kubernetes, { bin: binFolder(DEFAULT_KUBERNETES), key: keyOfParts() });
  await ensureOtherRuntime(runtime, { bin: binFolder(kubernetes), key: keyWith(kubernetes) });
  const parts = partsOf(kubernetes, runtime);
  linkInto(lab.bin, parts.bin, { envoy: parts.envoy, ...cachedHelm3() });
  return parts;
}

/** The parts of a lab that is up, without building or linking anything. Throws LabError if they are not there. */
export function cachedParts(kubernetes: KubernetesMinor = DEFAULT_KUBERNETES): Parts {
  if (!partsAreCached(kubernetes) || !envoyIsCached())
    throw new LabError('the parts of the lab are not built', { hint: 'make lab-up' });
  return partsOf(kubernetes);
}

function partsOf(kubernetes: KubernetesMinor, runtime: Runtime = DEFAULT_RUNTIME): Parts {
  const directory = partsDirectory();
  return {
    bin: binFolder(kubernetes, runtime),
    envoy: envoyPath(),
    charts: join(directory, 'charts'),
    bootstrapTemplate: join(directory, 'envoy_bootstrap.json'),
    key: keyOfParts(),
  };
}

function partsDirectory(): string {
  return join(cacheDirectory(), `parts-${keyOfParts()}`);
}

function binFolder(kubernetes: KubernetesMinor, runtime: Runtime = DEFAULT_RUNTIME): string {
  if (runtime !== 'containerd') return otherRuntimeBin(runtime, keyWith(kubernetes));
  if (kubernetes === DEFAULT_KUBERNETES) return join(partsDirectory(), 'bin');
  return otherKubernetesBin(kubernetes, keyOfParts());
}

/** Names the programs but for the runtime's. */
function keyWith(kubernetes: KubernetesMinor): string {
  return kubernetes === DEFAULT_KUBERNETES ? keyOfParts() : `${kubernetes}-${keyOfParts()}`;
}

function keyOfParts(): string {
  const files = KEY_FILES.map((file) => join(import.meta.dirname, file));
  return keyOf(files, JSON.stringify([BUILD, RUNC_BUILD]));
}

async function build(directory: string): Promise<void> {
  const bin = `${join(directory, 'bin')}/`;
  mkdirSync(bin);
  const sources = await step('fetching the sources of Istio', () => moduleSources('istio.io/istio'));
  cpSync(join(sources, 'manifests', 'charts'), join(directory, 'charts'), { recursive: true });
  cpSync(join(sources, 'tools/packaging/common/envoy_bootstrap.json'), join(directory, 'envoy_bootstrap.json'));
  await step(
    'building Kubernetes, etcd, containerd, Istio, Helm and CoreDNS (about 9 minutes on 2 cores, once)',
    () => goBuild([...BUILD, '-o', bin, 'tool', './coredns'], { folder: '.' }),
    () => `built: ${countEntries(bin)} of 16`,
  );
  renameSync(join(bin, 'server'), join(bin, 'etcd'));
  await step('building runc', () => goBuild([...RUNC_BUILD, '-o', bin, 'tool'], { folder: 'runc', cgo: true }));
  rmSync(join(directory, 'charts', 'gateways'), { recursive: true, force: true });
}
