import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { builtInto, countEntries, linkInto } from './cache.ts';
import { command } from './command.ts';
import { ensureEnvoy } from './envoy.ts';
import { LabError } from './lab-error.ts';
import { cacheDirectory, lab } from './paths.ts';
import { findGo } from './preflight.ts';
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
  /** Names the parts: equal keys, equal parts. */
  readonly key: string;
}

const KUBERNETES_VERSION = 'v1.36.3';
const ISTIO_MODULE = 'istio.io/istio';
// Without the version variable kubelet and the API server call themselves v0.0.0-master, and kubectl complains about the skew.
const LD_FLAGS = `-s -w -X k8s.io/component-base/version.gitVersion=${KUBERNETES_VERSION}`;
const BUILD = ['build', '-trimpath', '-tags=vtprotobuf,disable_pgv', '-ldflags', LD_FLAGS] as const;
const RUNC_BUILD = ['build', '-trimpath', '-tags=seccomp', '-ldflags', '-s -w'] as const;
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
export function partsAreCached(): boolean {
  return existsSync(partsDirectory());
}

/**
 * Builds what is not cached yet, all Go programs in one `go build` so that they share compiled packages, and links everything into .lab/bin.
 * Throws LabError with the compiler's last lines. A build that is ended half-way leaves Go's own caches, and nothing else.
 */
export async function ensureParts(): Promise<Parts> {
  const directory = partsDirectory();
  const [envoy] = await Promise.all([ensureEnvoy(), builtInto(directory, build)]);
  const parts = {
    bin: join(directory, 'bin'),
    envoy,
    charts: join(directory, 'charts'),
    bootstrapTemplate: join(directory, 'envoy_bootstrap.json'),
    key: keyOfParts(),
  };
  linkInto(lab.bin, [parts.bin], { envoy });
  return parts;
}

function partsDirectory(): string {
  return join(cacheDirectory(), `parts-${keyOfParts()}`);
}

function keyOfParts(): string {
  const hash = createHash('sha256');
  for (const file of KEY_FILES) hash.update(readFileSync(join(import.meta.dirname, file))).update('\0');
  hash.update(JSON.stringify([BUILD, RUNC_BUILD]));
  return hash.digest('hex').slice(0, 16);
}

async function build(directory: string): Promise<void> {
  const go = findGo();
  if (go === undefined)
    throw new LabError('Go is missing: unpack Go 1.26 or newer to /usr/local/go, or put `go` on PATH.');
  const bin = `${join(directory, 'bin')}/`;
  mkdirSync(bin);
  const sources = await moduleSources(go);
  cpSync(join(sources, 'manifests', 'charts'), join(directory, 'charts'), { recursive: true });
  cpSync(join(sources, 'tools/packaging/common/envoy_bootstrap.json'), join(directory, 'envoy_bootstrap.json'));
  await step(
    'building Kubernetes, etcd, containerd, Istio, Helm and CoreDNS (about 9 minutes on 2 cores, once)',
    () => goBuild(go, [...BUILD, '-o', bin, 'tool', './coredns'], { folder: '.', cgo: '0' }),
    () => `built: ${countEntries(bin)} of 14`,
  );
  renameSync(join(bin, 'server'), join(bin, 'etcd'));
  await step('building runc', () => goBuild(go, [...RUNC_BUILD, '-o', bin, 'tool'], { folder: 'runc', cgo: '1' }));
  rmSync(join(directory, 'charts', 'gateways'), { recursive: true, force: true });
}

const BUILD_TIMEOUT_MS = 60 * 60_000;

async function goBuild(
  go: string,
  args: readonly string[],
  options: { folder: string; cgo: '0' | '1' },
): Promise<void> {
  await command([go, ...args], {
    cwd: join(import.meta.dirname, options.folder),
    env: { CGO_ENABLED: options.cgo, GOFLAGS: '-buildvcs=false', GOWORK: 'off' },
    timeoutMs: BUILD_TIMEOUT_MS,
  });
}

async function moduleSources(go: string): Promise<string> {
  return step('fetching the sources of Istio', async () => {
    const cwd = import.meta.dirname;
    await command([go, 'mod', 'download', ISTIO_MODULE], { cwd, timeoutMs: BUILD_TIMEOUT_MS });
    return (await command([go, 'list', '-m', '-f', '{{.Dir}}', ISTIO_MODULE], { cwd })).trim();
  });
}
