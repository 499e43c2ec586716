import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { command } from './command.ts';

/** What the image runs and as whom; the names are those of the OCI image configuration. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly env?: readonly string[];
  /** uid:gid, numeric. */
  readonly user?: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/**
 * Packs `rootFolder` as a one-layer OCI archive at `archive`, named `reference` (with its registry, as containerd stores it).
 * The layer is uncompressed and the time stamps are fixed: the archive only ever travels to the containerd beside it.
 */
export async function writeOciArchive(options: {
  readonly rootFolder: string;
  readonly archive: string;
  readonly reference: string;
  readonly config: ImageConfig;
}): Promise<void> {
  mkdirSync(dirname(options.archive), { recursive: true });
  const layout = mkdtempSync(`${options.archive}.part-`);
  try {
    const blobs = join(layout, 'blobs', 'sha256');
    mkdirSync(blobs, { recursive: true });
    const layer = await addLayer(blobs, options.rootFolder);
    const config = addJson(
      blobs,
      'application/vnd.oci.image.config.v1+json',
      imageConfig(options.config, layer.digest),
    );
    const manifestType = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = addJson(blobs, manifestType, {
      schemaVersion: 2,
      mediaType: manifestType,
      config,
      layers: [layer],
    });
    const annotations = {
      'io.containerd.image.name': options.reference,
      'org.opencontainers.image.ref.name': options.reference,
    };
    writeJson(join(layout, 'index.json'), { schemaVersion: 2, manifests: [{ ...manifest, annotations }] });
    writeJson(join(layout, 'oci-layout'), { imageLayoutVersion: '1.0.0' });
    const packed = `${layout}.tar`;
    await command(['tar', '-C', layout, ...REPRODUCIBLE, '-cf', packed, 'oci-layout', 'index.json', 'blobs']);
    renameSync(packed, options.archive);
  } finally {
    rmSync(layout, { recursive: true, force: true });
    rmSync(`${layout}.tar`, { force: true });
  }
}

const REPRODUCIBLE = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=posix'];
const NO_TIMES = '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime';

async function addLayer(blobs: string, rootFolder: string): Promise<Descriptor> {
  const temporary = join(blobs, 'layer');
  await command(['tar', '-C', rootFolder, ...REPRODUCIBLE, NO_TIMES, '-cf', temporary, '.']);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(temporary)) hash.update(chunk);
  const hex = hash.digest('hex');
  renameSync(temporary, join(blobs, hex));
  const size = statSync(join(blobs, hex)).size;
  return { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: `sha256:${hex}`, size };
}

function imageConfig(config: ImageConfig, layerDigest: string): object {
  return {
    architecture: 'amd64',
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: {
      Entrypoint: config.entrypoint,
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...(config.env ?? [])],
      ...(config.user === undefined ? {} : { User: config.user }),
      WorkingDir: '/',
    },
    rootfs: { type: 'layers', diff_ids: [layerDigest] },
  };
}

function addJson(blobs: string, mediaType: string, value: object): Descriptor {
  const text = JSON.stringify(value);
  const hex = createHash('sha256').update(text).digest('hex');
  writeFileSync(join(blobs, hex), text);
  return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(text) };
}

function writeJson(path: string, value: object): void {
  writeFileSync(path, JSON.stringify(value));
}
