import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { builtInto, keyOf, linkFilesOf } from './cache.ts';
import { type DebianPackage, unpackDebianPackages } from './debian-packages.ts';
import { goBuild } from './go-build.ts';
import { cacheDirectory, containerdSocket, criDockerdSocket } from './paths.ts';
import { step } from './progress.ts';

/** The container runtimes that the lab's node can have; the first is the default, with NRI, and built by lab/go.mod. */
export const RUNTIMES = ['containerd', 'containerd-1.6', 'docker'] as const;
export type Runtime = (typeof RUNTIMES)[number];
export const DEFAULT_RUNTIME: Runtime = 'containerd';

type OtherRuntime = Exclude<Runtime, 'containerd'>;

/** Debian 12's containerd knows no NRI. Debian 13's Docker is the oldest at hand that cri-dockerd takes; any containerd serves it. */
const CONTAINERD_1_6: DebianPackage = { suite: 'bookworm', name: 'containerd', version: '1.6.' };
const DOCKER: DebianPackage = { suite: 'trixie', name: 'docker.io', version: '26.1.' };
const PACKAGES: Readonly<Record<OtherRuntime, readonly DebianPackage[]>> = {
  'containerd-1.6': [CONTAINERD_1_6],
  docker: [CONTAINERD_1_6, DOCKER],
};
/** What of them runs; ctr stays the newer one, which serves both. */
const PROGRAMS: Readonly<Record<OtherRuntime, readonly string[]>> = {
  'containerd-1.6': ['usr/bin/containerd', 'usr/bin/containerd-shim-runc-v2'],
  docker: ['usr/bin/containerd', 'usr/bin/containerd-shim-runc-v2', 'usr/sbin/dockerd'],
};
const BUILD = ['-trimpath', '-ldflags', '-s -w'] as const;

/** True if this is one of `RUNTIMES`. */
export function isRuntime(value: unknown): value is Runtime {
  return RUNTIMES.some((runtime) => runtime === value);
}

/** Where the node's runtime answers to CRI. */
export function criSocketOf(runtime: Runtime): string {
  return runtime === 'docker' ? criDockerdSocket : containerdSocket;
}

/** A folder with every program of `base.bin`, where the runtime is another one. Fetches and builds what is not cached. */
export async function ensureOtherRuntime(
  runtime: Runtime,
  base: { readonly bin: string; readonly key: string },
): Promise<string> {
  if (runtime === 'containerd') return base.bin;
  const own = ownDirectory(runtime);
  await builtInto(own, (directory) => fetchAndBuild(runtime, directory));
  const bin = otherRuntimeBin(runtime, base.key);
  await builtInto(bin, async (directory) => {
    linkFilesOf(base.bin, directory);
    // The real runc is called by the one that stands before it: lab/cri-dockerd/runc.
    if (runtime === 'docker') renameSync(join(directory, 'runc'), join(directory, 'runc.real'));
    linkFilesOf(own, directory);
  });
  return bin;
}

/** Where `ensureOtherRuntime` puts its programs. */
export function otherRuntimeBin(runtime: OtherRuntime, baseKey: string): string {
  return `${ownDirectory(runtime)}-with-${baseKey}`;
}

async function fetchAndBuild(runtime: OtherRuntime, directory: string): Promise<void> {
  const unpacked = `${directory}/unpacked`;
  mkdirSync(unpacked);
  const names = PACKAGES[runtime].map(({ name, version }) => `${name} ${version}x`).join(' and ');
  await step(`fetching ${names} of Debian`, () => unpackDebianPackages(PACKAGES[runtime], unpacked));
  for (const program of PROGRAMS[runtime]) {
    renameSync(join(unpacked, program), join(directory, program.replace(/^.*\//, '')));
  }
  rmSync(unpacked, { recursive: true });
  if (runtime !== 'docker') return;
  await step('building cri-dockerd (about 3 minutes on 2 cores, once)', () =>
    goBuild([...BUILD, '-o', `${directory}/`, 'tool', './runc'], { folder: 'cri-dockerd' }),
  );
}

function ownDirectory(runtime: OtherRuntime): string {
  const folder = join(import.meta.dirname, 'cri-dockerd');
  const files = runtime === 'docker' ? ['go.mod', 'go.sum', 'runc/main.go'].map((name) => join(folder, name)) : [];
  const key = keyOf(files, JSON.stringify([PACKAGES[runtime], PROGRAMS[runtime], BUILD]));
  return join(cacheDirectory(), `${runtime}-${key}`);
}
