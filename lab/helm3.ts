import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { builtInto, keyOf, linkFile } from './cache.ts';
import { goBuild } from './go-build.ts';
import { cacheDirectory, lab } from './paths.ts';
import { step } from './progress.ts';

// What its releases are built with. Without the two of Kubernetes, `helm template` takes 1.20 for the cluster's version; they are those of
// the k8s.io/client-go in helm3/go.mod.
const VARIABLES = [
  'helm.sh/helm/v3/internal/version.version=v3.22.0',
  'helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1',
  'helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=37',
];
const BUILD = ['-trimpath', '-ldflags', `-s -w ${VARIABLES.map((variable) => `-X ${variable}`).join(' ')}`] as const;

/** Path of Helm 3 (`.lab/bin/helm3`), for what has to work with both; built when it is first asked for (a minute and a half on 2 cores). */
export async function ensureHelm3(): Promise<string> {
  await builtInto(directoryOfHelm3(), (directory) =>
    step('building Helm 3 (about 90 s on 2 cores, once)', async () => {
      await goBuild([...BUILD, '-o', `${directory}/`, 'tool'], { folder: 'helm3' });
      renameSync(join(directory, 'helm'), join(directory, 'helm3'));
    }),
  );
  const link = join(lab.bin, 'helm3');
  linkFile(link, join(directoryOfHelm3(), 'helm3'));
  return link;
}

/** Name and path for .lab/bin, if it was ever built. */
export function cachedHelm3(): Readonly<Record<string, string>> {
  const path = join(directoryOfHelm3(), 'helm3');
  return existsSync(path) ? { helm3: path } : {};
}

function directoryOfHelm3(): string {
  const folder = join(import.meta.dirname, 'helm3');
  const key = keyOf([join(folder, 'go.mod'), join(folder, 'go.sum')], BUILD.join(' '));
  return join(cacheDirectory(), `helm3-${key}`);
}
