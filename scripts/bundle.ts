import { builtinModules } from 'node:module';
import { resolve } from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import manifest from '../package.json' with { type: 'json' };

const root = resolve(import.meta.dirname, '..');

/** What Node is started with, in the folder of the bundle. */
export const BUNDLE_ENTRY = 'istio-pod-network-controller.cjs';
/** All verbs but the gate. */
const APPLICATION = 'application.mjs';

/**
 * The bundle. The entry is one CommonJS file that holds the gate: to start Node's loader of ES modules and to read several files would
 * cost a gate two fifths more CPU. All other verbs are ES modules beside it, split so that each loads little: only verbs that read a
 * cluster as a person load the Kubernetes library. Without a folder nothing is written; the answer says what would be where.
 */
export async function bundle(outdir: string | undefined): Promise<Metafile> {
  const options = {
    absWorkingDir: root,
    outdir: outdir ?? resolve(root, 'dist', 'bundle'),
    write: outdir !== undefined,
    metafile: true,
    bundle: true,
    platform: 'node',
    target: 'node24',
    // koffi finds its native part relative to its own folder.
    external: ['koffi'],
    define: { 'globalThis.PRODUCT_VERSION': JSON.stringify(manifest.version) },
    legalComments: 'none',
    minifySyntax: true,
    logLevel: 'warning',
  } as const satisfies BuildOptions;
  const entry = build({
    ...options,
    entryPoints: { 'istio-pod-network-controller': 'src/main.ts' },
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    plugins: [applicationBeside],
  });
  const verbs = build({
    ...options,
    entryPoints: { application: 'src/commands/application.ts' },
    splitting: true,
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    // Dependencies published as CommonJS call require() for Node's own modules.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    plugins: [lazyBuiltins],
  });
  const [first, others] = (await Promise.all([entry, verbs])).map(({ metafile }) => metafile);
  return {
    inputs: { ...first?.inputs, ...others?.inputs },
    outputs: { ...first?.outputs, ...others?.outputs },
  };
}

const applicationBeside: Plugin = {
  name: 'the application is a file beside the entry',
  setup: (esbuild) => {
    esbuild.onResolve({ filter: /\/application\.ts$/ }, () => ({ path: `./${APPLICATION}`, external: true }));
  },
};

/**
 * `import … from 'node:http'` makes Node read every property that the module has, and some are getters that load what nobody here uses:
 * fetch with all of undici, web streams, WebCrypto. What is asked for as an object is read property by property.
 */
const lazyBuiltins: Plugin = {
  name: 'modules of Node, property by property',
  setup: (esbuild) => {
    const filter = new RegExp(`^(node:)?(${builtinModules.join('|')})$`);
    esbuild.onResolve({ filter }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin', sideEffects: false } : undefined,
    );
    esbuild.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};
