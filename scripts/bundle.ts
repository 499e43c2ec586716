import { resolve } from 'node:path';
import { build, type Metafile } from 'esbuild';
import manifest from '../package.json' with { type: 'json' };

const root = resolve(import.meta.dirname, '..');

/**
 * The bundle. koffi stays outside: it finds its native part relative to its own folder. Code splitting keeps each verb's path small: the
 * gate loads none of the agent, and only verbs that read a cluster as a person load the Kubernetes library. Without a folder nothing is
 * written; the answer says what would be where.
 */
export async function bundle(outdir: string | undefined): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { 'istio-pod-network-controller': 'src/main.ts' },
    outdir: outdir ?? resolve(root, 'dist', 'bundle'),
    write: outdir !== undefined,
    metafile: true,
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
  return metafile;
}
