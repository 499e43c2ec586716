import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { BUNDLE_ENTRY, bundle } from './bundle.ts';

/** `make build`: dist/ holds the bundle, bin/ a launcher for this checkout. */
const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist', 'bundle');
rmSync(dist, { recursive: true, force: true });
mkdirSync(join(root, 'bin'), { recursive: true });

await bundle(dist);

const launcher = join(root, 'bin', 'istio-pod-network-controller');
writeFileSync(
  launcher,
  `#!/bin/sh
# Runs the bundle on the locked Node, wherever it is called from.
root=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
exec "$root/node_modules/.bin/node" "$root/dist/bundle/${BUNDLE_ENTRY}" "$@"
`,
);
chmodSync(launcher, 0o755);
