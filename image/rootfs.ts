import { chmod, copyFile, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Library } from './libraries.ts';
import type { Platform } from './platform.ts';
import { extensionFolder, linkNames, type RulePrograms } from './rule-programs.ts';
import { isInstalled, run } from './run.ts';

export const REPOSITORY = dirname(dirname(fileURLToPath(import.meta.url)));

/** koffi's files that are loaded at run time; its package also holds C++ sources and documentation. */
const KOFFI_FILES = [
  ...['package.json', 'LICENSE.txt', 'index.js', 'index.cjs', 'indirect.js', 'indirect.cjs'],
  ...['src/koffi/index.js', 'src/koffi/index.cjs', 'src/koffi/indirect.js', 'src/koffi/indirect.cjs'],
  ...['src/koffi/src/static.js', 'src/koffi/src/static.cjs'],
];

const NAMES: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/:/nonexistent\nnonroot:x:65532:65532:nonroot:/:/nonexistent\n',
  'etc/group': 'root:x:0:\nnonroot:x:65532:\n',
  // libnftables asks for names of users, groups, services and protocols; none of that may become a network lookup.
  // Hosts may: KUBERNETES_SERVICE_HOST is a DNS name on some managed clusters.
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nservices: files\nprotocols: files\nhosts: files dns\n',
};

export interface RootfsInputs {
  readonly platform: Platform;
  readonly libraries: readonly Library[];
  readonly rulePrograms: RulePrograms;
  /** Folder with the bundle, `istio-pod-network-controller.cjs`. */
  readonly bundleDir: string;
}

/** Files of npm packages and of this machine that go into the image, for the fingerprint. */
export function nodeBinary(platform: Platform): string {
  return join(REPOSITORY, 'node_modules', platform.nodePackage, 'bin/node');
}

/** koffi's native part. */
export function koffiBinary(platform: Platform): string {
  return join(REPOSITORY, 'node_modules', platform.koffiPackage, platform.koffiFolder, 'koffi.node');
}

/** Fills the empty folder `target` with everything the image holds. */
export async function assembleRootfs(target: string, inputs: RootfsInputs): Promise<void> {
  const { platform } = inputs;
  await install(nodeBinary(platform), join(target, 'usr/local/bin/node'), 0o755);
  await strip(platform, join(target, 'usr/local/bin/node'));
  for (const library of inputs.libraries) await install(library.source, libraryPath(target, platform, library), 0o755);
  await installRulePrograms(target, inputs);
  await installKoffi(target, platform);
  for (const file of await bundleFiles(inputs.bundleDir)) {
    await install(join(inputs.bundleDir, file), join(target, 'app', file), 0o644);
  }
  for (const [path, text] of Object.entries(NAMES)) await write(join(target, path), text);
  // Mount points: a read-only root filesystem cannot grow them.
  for (const folder of ['proc', 'sys', 'dev', 'tmp', 'run', 'var/run/netns', 'var/run/secrets']) {
    await mkdir(join(target, folder), { recursive: true });
  }
  await chmod(join(target, 'tmp'), 0o1777);
}

/** The bundle's files: the entry and its chunks, no source maps. Sorted. */
export async function bundleFiles(bundleDir: string): Promise<readonly string[]> {
  const entries = await readdir(bundleDir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  return names.filter((name) => /\.(mjs|cjs|js)$/.test(name)).sort();
}

/** Bytes of all regular files below `folder`. */
export async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

function libraryPath(target: string, platform: Platform, library: Library): string {
  if (library.soname === basename(platform.loader)) return join(target, platform.loader);
  return join(target, platform.libraryDir, library.soname);
}

async function installRulePrograms(target: string, { platform, rulePrograms }: RootfsInputs): Promise<void> {
  const folder = join(target, 'usr/sbin');
  for (const { name, source } of rulePrograms.programs) await install(source, join(folder, name), 0o755);
  for (const { soname, source } of rulePrograms.extensions) {
    await install(source, join(target, extensionFolder(platform), soname), 0o755);
  }
  await linkNames(folder);
}

async function installKoffi(target: string, platform: Platform): Promise<void> {
  const modules = join(REPOSITORY, 'node_modules');
  for (const file of KOFFI_FILES) {
    await install(join(modules, 'koffi', file), join(target, 'app/node_modules/koffi', file), 0o644);
  }
  const native = join(target, 'app/node_modules', platform.koffiPackage);
  for (const file of ['package.json', 'index.js']) {
    await install(join(modules, platform.koffiPackage, file), join(native, file), 0o644);
  }
  await install(koffiBinary(platform), join(native, platform.koffiFolder, 'koffi.node'), 0o755);
}

/** The npm package's binary carries 20 MB of symbols that nothing reads at run time; .dynsym, which addons need, stays. */
async function strip(platform: Platform, file: string): Promise<void> {
  if (await isInstalled(platform.strip)) await run([platform.strip, '--strip-all', file]);
}

async function install(source: string, target: string, mode: number): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await copyFile(source, target);
  await chmod(target, mode);
}

async function write(target: string, text: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, text, { mode: 0o644 });
}
