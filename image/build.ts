import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ControllerError, messageOf } from '../src/errors.ts';
import { buildArchive } from './archive.ts';
import { checkImage } from './check.ts';
import { fingerprint, isUpToDate, recordInputs } from './fingerprint.ts';
import { libraryClosure, withSysroot } from './libraries.ts';
import { hostArch, type Platform, platformOf } from './platform.ts';
import { findRulePrograms } from './rule-programs.ts';
import { assembleRootfs, bundleFiles, koffiBinary, nodeBinary, REPOSITORY, sizeOf } from './rootfs.ts';
import { run } from './run.ts';

/** Unpacked, in bytes: the limit the project set itself. Node alone is 104 MB of it. */
const UNPACKED_BYTES_MAX = 150_000_000;
const REPOSITORY_NAME = 'docker.io/istio-pod-network-controller/istio-pod-network-controller';
const ENTRY = 'istio-pod-network-controller.cjs';

export interface BuildOptions {
  readonly arch: string;
  /** Folder with a finished bundle; undefined builds it first, into `dist/bundle/`. */
  readonly bundleDir: string | undefined;
}

/** Builds `dist/istio-pod-network-controller-<arch>.oci.tar` unless its inputs are unchanged. Returns its path. */
export async function buildImage(options: BuildOptions): Promise<string> {
  const platform = platformOf(options.arch);
  const bundleDir = options.bundleDir ?? (await bundle());
  if (!(await bundleFiles(bundleDir)).includes(ENTRY)) {
    throw new ControllerError('FileUnreadable', `${bundleDir} holds no ${ENTRY}`, { hint: 'Run `make build` first.' });
  }
  const archive = join(REPOSITORY, 'dist', `istio-pod-network-controller-${platform.arch}.oci.tar`);
  await withSysroot(platform, (sysroot) => buildWith({ platform, bundleDir, archive, sysroot }));
  return archive;
}

interface Build {
  readonly platform: Platform;
  readonly bundleDir: string;
  readonly archive: string;
  readonly sysroot: string;
}

async function buildWith({ platform, bundleDir, archive, sysroot }: Build): Promise<void> {
  const nftables = join(sysroot || '/', platform.libraryDir, 'libnftables.so.1');
  const rulePrograms = await findRulePrograms(platform, sysroot);
  const fallbacks = [...rulePrograms.programs, ...rulePrograms.extensions].map(({ source }) => source);
  const roots = [nodeBinary(platform), koffiBinary(platform), nftables, ...fallbacks];
  const closure = await libraryClosure(platform, roots, sysroot);
  const libraries = closure.some(({ soname }) => soname === 'libnftables.so.1')
    ? closure
    : [...closure, { soname: 'libnftables.so.1', source: nftables }];
  const version = await packageVersion();
  const bundle = (await bundleFiles(bundleDir)).map((file) => join(bundleDir, file));
  const sources = await filesIn(join(REPOSITORY, 'image'));
  const files = [...roots, ...libraries.map((library) => library.source), ...bundle, ...sources];
  const inputs = await fingerprint([version, platform.arch, String(timestampSeconds())], files);
  if (await isUpToDate(archive, inputs)) return say(`${relative(REPOSITORY, archive)} is up to date`);
  const context = await mkdtemp(join(tmpdir(), 'image-context-'));
  try {
    const rootfs = join(context, 'rootfs');
    await assembleRootfs(rootfs, { platform, libraries, rulePrograms, bundleDir });
    await enforceSize(rootfs);
    await buildArchive({
      ...{ context, archive, arch: platform.arch, timestampSeconds: timestampSeconds() },
      dockerfile: join(REPOSITORY, 'image/Dockerfile'),
      reference: `${REPOSITORY_NAME}:${version}`,
      buildArgs: { VERSION: version },
    });
    await recordInputs(archive, inputs);
    say(`${relative(REPOSITORY, archive)} is ${REPOSITORY_NAME}:${version} (linux/${platform.arch})`);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

async function filesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder)).sort().map((name) => join(folder, name));
}

async function enforceSize(rootfs: string): Promise<void> {
  const bytes = await sizeOf(rootfs);
  say(`unpacked: ${(bytes / 1e6).toFixed(1)} MB of at most ${UNPACKED_BYTES_MAX / 1e6} MB`);
  if (bytes > UNPACKED_BYTES_MAX) {
    throw new ControllerError('Internal', `the image would be ${bytes} bytes, more than ${UNPACKED_BYTES_MAX}`, {
      hint: 'Install binutils, so that the Node binary can be stripped, and look for what grew.',
    });
  }
}

async function bundle(): Promise<string> {
  await run([process.execPath, join(REPOSITORY, 'scripts/build.ts')]);
  return join(REPOSITORY, 'dist', 'bundle');
}

async function packageVersion(): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(REPOSITORY, 'package.json'), 'utf8'));
  if (
    typeof manifest === 'object' &&
    manifest !== null &&
    'version' in manifest &&
    typeof manifest.version === 'string'
  ) {
    return manifest.version;
  }
  throw new ControllerError('FileUnreadable', 'package.json has no version');
}

/** https://reproducible-builds.org/specs/source-date-epoch/; 0 if the environment does not say. */
function timestampSeconds(): number {
  const raw = process.env.SOURCE_DATE_EPOCH ?? '0';
  if (/^[0-9]{1,12}$/.test(raw)) return Number(raw);
  throw new ControllerError('Usage', `SOURCE_DATE_EPOCH=${raw} is not allowed: whole seconds since 1970`);
}

function say(line: string): void {
  process.stdout.write(`image: ${line}\n`);
}

if (import.meta.main) {
  try {
    const { values } = parseArgs({
      options: {
        arch: { type: 'string', default: hostArch() },
        bundle: { type: 'string' },
        check: { type: 'boolean', default: false },
      },
    });
    const bundleDir = values.bundle === undefined ? undefined : resolve(values.bundle);
    const archive = await buildImage({ arch: values.arch, bundleDir });
    if (values.check) for (const line of await checkImage(archive)) say(line);
  } catch (error: unknown) {
    process.stderr.write(`image: ${messageOf(error)}\n`);
    process.exitCode = 2;
  }
}
