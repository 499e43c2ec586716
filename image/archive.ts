import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from './run.ts';

export interface ArchiveRequest {
  /** Folder with the Dockerfile and what it copies. */
  readonly context: string;
  readonly dockerfile: string;
  /** Full name with registry and tag: containerd imports it under exactly this name. */
  readonly reference: string;
  /** The OCI archive to write; replaced atomically. */
  readonly archive: string;
  readonly arch: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** Seconds since the epoch for every file and for the image itself. */
  readonly timestampSeconds: number;
}

/**
 * Builds a `FROM scratch` Dockerfile with buildah and writes it as an OCI archive. Works offline and as root without a
 * container engine: own throw-away storage, vfs (no overlay mount), chroot isolation (no runtime).
 */
export async function buildArchive(request: ArchiveRequest): Promise<void> {
  const storage = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const global = [
    '--root',
    join(storage, 'root'),
    '--runroot',
    join(storage, 'run'),
    '--storage-driver',
    'vfs',
  ] as const;
  const buildArgs = Object.entries(request.buildArgs).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  const partial = `${request.archive}.partial`;
  try {
    await mkdir(dirname(request.archive), { recursive: true });
    await rm(partial, { force: true });
    await run(
      [
        ...(['buildah', ...global, 'bud', '--isolation', 'chroot', '--format', 'oci', '--arch', request.arch] as const),
        // Uncompressed: the archive is read on this machine, and gzip would cost more time than everything else together.
        ...['--disable-compression', '--timestamp', String(request.timestampSeconds), ...buildArgs],
        ...['-f', request.dockerfile, '-t', `oci-archive:${partial}:${request.reference}`, request.context],
      ],
      { debianPackage: 'buildah' },
    );
    await rename(partial, request.archive);
  } finally {
    await rm(partial, { force: true });
    await rm(storage, { recursive: true, force: true });
  }
}
