import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import manifest from '../package.json' with { type: 'json' };

/**
 * `make build`: dist/ holds the bundle, bin/ a launcher for this checkout. koffi stays outside the bundle: it finds its native part
 * relative to its own folder. Code splitting keeps the gate's path small: it loads none of the agent.
 */
const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist', 'bundle');
rmSync(dist, { recursive: true, force: true });
mkdirSync(join(root, 'bin'), { recursive: true });

await build({
  absWorkingDir: root,
  entryPoints: { 'istio-pod-network-controller': 'src/main.ts' },
  outdir: dist,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  external: ['koffi'],
  define: { 'globalThis.PRODUCT_VERSION': JSON.stringify(manifest.version) },
  // Dependencies published as CommonJS call require() for Node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  legalComments: 'none',
  minifySyntax: true,
  logLevel: 'warning',
});

const launcher = join(root, 'bin', 'istio-pod-network-controller');
writeFileSync(
  launcher,
  `#!/bin/sh
# Runs the bundle on the locked Node, wherever it is called from.
root=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
exec "$root/node_modules/.bin/node" "$root/dist/bundle/istio-pod-network-controller.mjs" "$@"
`,
);
chmodSync(launcher, 0o755);
