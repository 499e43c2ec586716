import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asList, asObject, asString, type JsonObject } from '../src/admission/json.ts';
import { ControllerError } from '../src/errors.ts';
import { run } from './run.ts';

/** Loads koffi and libnftables the way the agent does and makes one context (opens a netlink socket, changes nothing). */
const LOAD_LIBRARIES = `
import koffi from '/app/node_modules/koffi/index.js';
const nftables = koffi.load('libnftables.so.1');
const context = nftables.func('void *nft_ctx_new(uint32_t)')(0);
if (context === null) throw new Error('nft_ctx_new returned NULL');
nftables.func('void nft_ctx_free(void *)')(context);
console.log('koffi ' + koffi.version + ', libnftables.so.1 loaded');
`;

/**
 * Unpacks the OCI archive and runs it in a chroot as its own numeric user: Node starts, koffi and libnftables load, the
 * entry answers. Needs root. Returns what it saw, a line each; throws on the first thing that is wrong.
 */
export async function checkImage(archive: string): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'image-check-'));
  try {
    const { root, config } = await unpackImage(archive, folder);
    const user = asString(config.User);
    if (!/^[1-9][0-9]*:[1-9][0-9]*$/.test(user))
      throw wrong(`its user ${JSON.stringify(user)} is not numeric and non-root`);
    const entry = asList(config.Entrypoint).map(asString);
    const inImage = async (args: readonly string[]): Promise<string> =>
      (await run(['chroot', `--userspec=${user}`, root, ...args])).trim();
    const [node = ''] = entry;
    const files = await refuseShellsAndSetuid(root);
    return [
      `user ${user}, entrypoint ${entry.join(' ')}, ${files} files, no shell, no setuid`,
      `node ${await inImage([node, '--version'])}`,
      await inImage([node, '--input-type=module', '--eval', LOAD_LIBRARIES]),
      await inImage(['/usr/sbin/nft', '--version']),
      await inImage(['/usr/sbin/iptables-nft-restore', '--version']),
      await inImage(['/usr/sbin/ip6tables-legacy-save', '--version']),
      `--help: ${(await inImage([...entry, '--help'])).split('\n').length} lines`,
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Unpacks an archive into an empty folder: its root filesystem, and how a runtime is told to start it. */
export async function unpackImage(
  archive: string,
  folder: string,
): Promise<{ readonly root: string; readonly config: JsonObject }> {
  const layout = join(folder, 'layout');
  const root = join(folder, 'root');
  for (const target of [layout, root]) await mkdir(target);
  await run(['tar', '--extract', '--file', archive, '--directory', layout]);
  const index = await readJson(join(layout, 'index.json'));
  const manifest = await readJson(blob(layout, asObject(asList(index.manifests)[0])));
  for (const layer of asList(manifest.layers)) {
    await run(['tar', '--extract', '--file', blob(layout, asObject(layer)), '--directory', root]);
  }
  return { root, config: asObject((await readJson(blob(layout, asObject(manifest.config)))).config) };
}

function blob(layout: string, descriptor: JsonObject): string {
  return join(layout, 'blobs', asString(descriptor.digest).replace(':', '/'));
}

async function readJson(path: string): Promise<JsonObject> {
  return asObject(JSON.parse(await readFile(path, 'utf8')));
}

async function refuseShellsAndSetuid(root: string): Promise<number> {
  let files = 0;
  for (const entry of await readdir(root, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    files += 1;
    const path = join(entry.parentPath, entry.name);
    if (/^(sh|bash|dash|ash|busybox)$/.test(entry.name)) throw wrong(`it holds a shell: ${path}`);
    if (((await stat(path)).mode & 0o6000) !== 0) throw wrong(`it holds a setuid or setgid file: ${path}`);
  }
  return files;
}

function wrong(what: string): ControllerError {
  return new ControllerError('Internal', `the image is wrong: ${what}`);
}
