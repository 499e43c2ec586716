import { copyFile, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { buildArchive } from '../../image/archive.ts';
import { fingerprint } from '../../image/fingerprint.ts';
import { hostArch } from '../../image/platform.ts';
import { run } from '../../image/run.ts';

interface BookinfoImage {
  /** Full image name; the ones of Istio's sample, so that its manifests run unchanged. */
  readonly reference: string;
  readonly mode: string;
  readonly version: string;
}

/** Istio's release of the sample whose names these images carry. */
const SAMPLE_VERSION = '1.20.3';
const SAMPLE = 'docker.io/istio/examples-bookinfo';

/** The image for tests: the same program; the pod's args choose connect, fetch or echo. */
export const CLIENT_IMAGE = 'docker.io/istio-pod-network-controller/lab-client:lab';

export const BOOKINFO_IMAGES: readonly BookinfoImage[] = [
  { reference: `${SAMPLE}-details-v1:${SAMPLE_VERSION}`, mode: 'details', version: 'v1' },
  { reference: `${SAMPLE}-productpage-v1:${SAMPLE_VERSION}`, mode: 'productpage', version: 'v1' },
  { reference: `${SAMPLE}-ratings-v1:${SAMPLE_VERSION}`, mode: 'ratings', version: 'v1' },
  { reference: `${SAMPLE}-reviews-v1:${SAMPLE_VERSION}`, mode: 'reviews', version: 'v1' },
  { reference: `${SAMPLE}-reviews-v2:${SAMPLE_VERSION}`, mode: 'reviews', version: 'v2' },
  { reference: `${SAMPLE}-reviews-v3:${SAMPLE_VERSION}`, mode: 'reviews', version: 'v3' },
  { reference: CLIENT_IMAGE, mode: 'echo', version: 'lab' },
];

/**
 * Puts one OCI archive an image into `outDir` and returns their paths. Built once per content of this folder, without any
 * network: the result is kept in `${XDG_CACHE_HOME:-~/.cache}/istio-pod-network-controller/images/`.
 */
export async function buildBookinfoImages(outDir: string): Promise<string[]> {
  const cached = join(cacheDir(), `bookinfo-${(await sourceFingerprint()).slice(0, 16)}`);
  if (!(await exists(cached))) await fillCache(cached);
  await mkdir(outDir, { recursive: true });
  const archives = (await readdir(cached)).sort();
  for (const name of archives) await copyFile(join(cached, name), join(outDir, name));
  return archives.map((name) => join(outDir, name));
}

async function fillCache(cached: string): Promise<void> {
  await mkdir(cacheDir(), { recursive: true });
  const partial = await mkdtemp(`${cached}.partial-`);
  const context = await mkdtemp(join(tmpdir(), 'bookinfo-context-'));
  try {
    await compile(join(context, 'bookinfo'));
    for (const image of BOOKINFO_IMAGES) {
      await buildArchive({
        ...{ context, arch: hostArch(), timestampSeconds: 0, reference: image.reference },
        dockerfile: join(import.meta.dirname, 'Dockerfile'),
        archive: join(partial, `${basename(image.reference).replace(':', '-')}.oci.tar`),
        buildArgs: { MODE: image.mode, VERSION: image.version },
      });
    }
    // A second build at the same time may have been first; its result is the same.
    await rename(partial, cached).catch(async (error: unknown) => {
      if (!(await exists(cached))) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
    await rm(context, { recursive: true, force: true });
  }
}

async function compile(target: string): Promise<void> {
  const argv = ['go', 'build', '-trimpath', '-ldflags', '-s -w -buildid=', '-o', target, '.'] as const;
  await run(argv, {
    cwd: import.meta.dirname,
    env: { CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '-mod=mod', GOWORK: 'off' },
    debianPackage: 'golang',
  });
}

async function sourceFingerprint(): Promise<string> {
  const names = (await readdir(import.meta.dirname)).filter((name) => !name.endsWith('.test.ts')).sort();
  return await fingerprint(
    [hostArch()],
    names.map((name) => join(import.meta.dirname, name)),
  );
}

function cacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'istio-pod-network-controller', 'images');
}

async function exists(folder: string): Promise<boolean> {
  return await readdir(folder).then(
    () => true,
    () => false,
  );
}

if (import.meta.main) {
  const [outDir = 'dist/bookinfo'] = process.argv.slice(2);
  for (const archive of await buildBookinfoImages(outDir)) process.stdout.write(`${archive}\n`);
}
