import { access, glob, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { ControllerError } from '../src/errors.ts';
import { DEBIAN_PACKAGES, hostArch, type Platform } from './platform.ts';
import { run } from './run.ts';

/** A library by its soname and the file on this machine that holds it. */
export interface Library {
  readonly soname: string;
  readonly source: string;
}

/**
 * Every shared library the given ELF files need, and what those need, sorted by soname. Read from the files' dynamic
 * sections and never by running them (as ldd does), so that a foreign architecture works the same way.
 * @param roots ELF files to start from.
 * @param sysroot '' for this machine, else a folder with the unpacked Debian packages.
 */
export async function libraryClosure(
  platform: Platform,
  roots: readonly string[],
  sysroot: string,
): Promise<readonly Library[]> {
  const found = new Map<string, Library>();
  const pending = [...roots];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    for (const soname of await neededBy(file)) {
      if (found.has(soname)) continue;
      const source = await locate(platform, sysroot, soname, file);
      found.set(soname, { soname, source });
      pending.push(source);
    }
  }
  return [...found.values()].sort((a, b) => (a.soname < b.soname ? -1 : 1));
}

/** Calls `use` with a folder that holds the platform's libraries: '' on the same architecture, else freshly fetched. */
export async function withSysroot<T>(platform: Platform, use: (sysroot: string) => Promise<T>): Promise<T> {
  if (platform.arch === hostArch()) return await use('');
  const folder = await mkdtemp(join(tmpdir(), `image-sysroot-${platform.arch}-`));
  try {
    await run(['apt-get', 'download', ...DEBIAN_PACKAGES.map((name) => `${name}:${platform.arch}`)], { cwd: folder });
    for (const name of DEBIAN_PACKAGES) await unpack(folder, name);
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function unpack(folder: string, name: string): Promise<void> {
  for await (const file of glob(`${name}_*.deb`, { cwd: folder }))
    await run(['dpkg-deb', '-x', join(folder, file), folder]);
}

async function neededBy(file: string): Promise<readonly string[]> {
  const dynamic = await run(['readelf', '--dynamic', '--wide', file], {
    debianPackage: 'binutils',
    env: { LC_ALL: 'C' },
  });
  return [...dynamic.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)].flatMap((match) => match[1] ?? []);
}

async function locate(platform: Platform, sysroot: string, soname: string, neededByFile: string): Promise<string> {
  // Debian 12 still ships libc6 below /lib in the package; installed systems have /lib -> usr/lib.
  const folders = [platform.libraryDir, platform.libraryDir.replace('/usr', '')];
  const candidates = [...folders.map((folder) => join(folder, soname)), platform.loader];
  for (const candidate of candidates) {
    if (basename(candidate) === soname && (await exists(sysroot + candidate))) return sysroot + candidate;
  }
  throw new ControllerError(
    'LibraryMissing',
    `${soname}, needed by ${neededByFile}, is not in ${folders.join(' or ')}`,
    {
      hint: `apt-get install ${DEBIAN_PACKAGES.join(' ')}`,
    },
  );
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
