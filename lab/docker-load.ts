import { copyFileSync, createReadStream, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { command } from './command.ts';
import { LabError } from './lab-error.ts';
import { dockerSocket } from './paths.ts';

const LOAD_TIMEOUT_MS = 300_000;
/** Names of an image in an OCI index: containerd's own annotation first, as containerd does. */
const NAMES = ['io.containerd.image.name', 'org.opencontainers.image.ref.name'];

/**
 * Loads one archive into Docker, under the name it carries. Docker's image store reads no OCI index, but manifest.json beside it, which
 * names the same files: where it is missing it is added, in a copy.
 */
export async function loadIntoDocker(archive: string, socketPath: string = dockerSocket): Promise<void> {
  const members = (await command(['tar', '-tf', archive])).split('\n');
  if (members.includes('manifest.json')) return post(archive, socketPath);
  const folder = mkdtempSync(join(tmpdir(), 'docker-load-'));
  try {
    const copy = join(folder, basename(archive));
    copyFileSync(archive, copy);
    writeFileSync(join(folder, 'manifest.json'), await dockerManifest(archive));
    await command(['tar', '-C', folder, '--append', '-f', copy, 'manifest.json']);
    await post(copy, socketPath);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function dockerManifest(archive: string): Promise<string> {
  const read = async (member: string): Promise<unknown> => JSON.parse(await command(['tar', '-xOf', archive, member]));
  const manifests = listOf(await read('index.json'), 'manifests');
  const images = await Promise.all(
    manifests.map(async (descriptor) => {
      const manifest = await read(blobOf(descriptor));
      const annotations = field(descriptor, 'annotations');
      const name = NAMES.map((key) => field(annotations, key)).find((value) => typeof value === 'string');
      if (name === undefined) throw new LabError(`${archive}: an image in index.json has no name`);
      return {
        Config: blobOf(field(manifest, 'config')),
        RepoTags: [name],
        Layers: listOf(manifest, 'layers').map(blobOf),
      };
    }),
  );
  return JSON.stringify(images);
}

/** Docker tells of a failure inside of an answer that began with 200. */
async function post(archive: string, socketPath: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const headers = { 'content-type': 'application/x-tar', 'content-length': statSync(archive).size };
  const path = '/images/load?quiet=1';
  const upload = request({ socketPath, path, method: 'POST', headers, timeout: LOAD_TIMEOUT_MS }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk.slice(0, 10_000);
    });
    response.on('end', () => resolve(response.statusCode === 200 ? text : `{"error":${JSON.stringify(text)}}`));
    response.on('error', reject);
  });
  upload.on('timeout', () => upload.destroy(new Error(`no answer within ${LOAD_TIMEOUT_MS} ms`)));
  upload.on('error', reject);
  createReadStream(archive).on('error', reject).pipe(upload);
  const answer = await promise;
  if (answer.includes('"error"')) throw new LabError(`Docker does not load ${archive}: ${answer.trim()}`);
}

function blobOf(descriptor: unknown): string {
  const digest = field(descriptor, 'digest');
  if (typeof digest !== 'string' || !/^sha256:[0-9a-f]{64}$/.test(digest))
    throw new LabError(`an OCI archive names a blob by ${JSON.stringify(digest)}`);
  return `blobs/${digest.replace(':', '/')}`;
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

function listOf(value: unknown, key: string): readonly unknown[] {
  const list = field(value, key);
  return Array.isArray(list) ? list : [];
}
