import { join } from 'node:path';
import { builtInto, countEntries, keyOf, linkFilesOf } from './cache.ts';
import { goBuild } from './go-build.ts';
import { cacheDirectory } from './paths.ts';
import { step } from './progress.ts';

/** The minors of Kubernetes that the lab can be; the first is the default and built by lab/go.mod together with everything else. */
export const KUBERNETES = ['1.36', '1.35'] as const;
export type KubernetesMinor = (typeof KUBERNETES)[number];
export const DEFAULT_KUBERNETES: KubernetesMinor = '1.36';

/** The patch release of each; lab/go.mod and lab/kubernetes-1.35/go.mod name the same. */
const VERSIONS: Readonly<Record<KubernetesMinor, string>> = { '1.36': 'v1.36.3', '1.35': 'v1.35.4' };

/** True if this is one of `KUBERNETES`. */
export function isKubernetesMinor(value: unknown): value is KubernetesMinor {
  return KUBERNETES.some((minor) => minor === value);
}

/** Linker flags; without the variable kubelet and the API server call themselves v0.0.0-master, and kubectl complains about the skew. */
export function linkerFlags(minor: KubernetesMinor): string {
  return `-s -w -X k8s.io/component-base/version.gitVersion=${VERSIONS[minor]}`;
}

/**
 * A folder with every program of `baseBin`, where those of Kubernetes are of another minor (kubectl stays, it serves both).
 * Builds them if they are not cached (about 5 minutes on 2 cores).
 */
export async function ensureOtherKubernetes(
  minor: KubernetesMinor,
  base: { readonly bin: string; readonly key: string },
): Promise<string> {
  const built = builtDirectory(minor);
  await builtInto(built, (directory) =>
    step(
      `building Kubernetes ${minor} (about 5 minutes on 2 cores, once)`,
      () =>
        goBuild(['-trimpath', '-ldflags', linkerFlags(minor), '-o', `${directory}/`, 'tool'], {
          folder: folderOf(minor),
        }),
      () => `built: ${countEntries(directory)} of 5`,
    ),
  );
  const bin = otherKubernetesBin(minor, base.key);
  await builtInto(bin, async (directory) => {
    linkFilesOf(base.bin, directory);
    linkFilesOf(built, directory);
  });
  return bin;
}

/** Where `ensureOtherKubernetes` puts its programs, and where it builds them. */
export function otherKubernetesBin(minor: KubernetesMinor, baseKey: string): string {
  return `${builtDirectory(minor)}-with-${baseKey}`;
}

function builtDirectory(minor: KubernetesMinor): string {
  const folder = join(import.meta.dirname, folderOf(minor));
  const key = keyOf([join(folder, 'go.mod'), join(folder, 'go.sum')], linkerFlags(minor));
  return join(cacheDirectory(), `kubernetes-${minor}-${key}`);
}

function folderOf(minor: KubernetesMinor): string {
  return `kubernetes-${minor}`;
}
