import { isBuiltin } from 'node:module';
import { basename } from 'node:path';
import type { Metafile } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';
import { BUNDLE_ENTRY, bundle } from './bundle.ts';

let outputs: Metafile['outputs'];
beforeAll(async () => {
  ({ outputs } = await bundle(undefined));
}, 60_000);

/** What Node reads before the first statement of a source file runs: its chunk, and those it imports without asking. */
function loadedWith(source: string): readonly string[] {
  const entry = Object.keys(outputs).find((file) => outputs[file]?.entryPoint === source);
  if (entry === undefined) throw new Error(`${source} has no chunk of its own`);
  const seen = new Set<string>();
  const waiting = [entry];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const { path, kind } of outputs[file]?.imports ?? []) if (kind === 'import-statement') waiting.push(path);
  }
  return [...seen].flatMap((file) => Object.keys(outputs[file]?.inputs ?? {}));
}

const LIBRARY = 'node_modules/@kubernetes/client-node/';

describe('the bundle', () => {
  it.each([
    'src/main.ts',
    'src/commands/application.ts',
    'src/commands/run.ts',
    'src/commands/webhook.ts',
    'src/commands/explain.ts',
    'src/commands/verify.ts',
    // They ask for it only once they log in.
    'src/commands/status.ts',
    'src/commands/preflight.ts',
  ])('loads no byte of the Kubernetes library, or of what it brings, with %s', (source) => {
    const inputs = loadedWith(source);
    expect(inputs.length).toBeGreaterThan(0);
    expect(
      inputs.filter(
        (file) => file.startsWith(LIBRARY) || /node_modules\/(undici|ws|openid-client|js-yaml)\//.test(file),
      ),
    ).toEqual([]);
  });

  it('has it in a chunk of its own, for those two', () => {
    expect(loadedWith('src/kubeconfig/library.ts').length).toBeGreaterThan(500);
  });

  it('has of that library what it uses, not all', () => {
    const [file] = Object.keys(outputs).filter((name) => outputs[name]?.entryPoint === 'src/kubeconfig/library.ts');
    expect(outputs[file ?? '']?.bytes).toBeLessThan(4_000_000);
  });

  it('has the gate in the entry, which loads nothing else unasked', () => {
    const [, entry] = Object.entries(outputs).find(([file]) => basename(file) === BUNDLE_ENTRY) ?? [];
    const inputs = Object.keys(entry?.inputs ?? {});
    expect(inputs).toContain('src/gate/gate.ts');
    expect(inputs.filter((file) => !file.startsWith('src/'))).toEqual([]);
    expect(entry?.bytes).toBeLessThan(32_000);
    const unasked = entry?.imports.filter(({ kind }) => kind !== 'dynamic-import').map(({ path }) => path);
    expect(unasked?.filter((path) => !isBuiltin(path))).toEqual([]);
    expect(entry?.imports.flatMap(({ path, kind }) => (kind === 'dynamic-import' ? [path] : []))).toEqual([
      './application.mjs',
    ]);
    expect(Object.keys(outputs).map((file) => basename(file))).toContain('application.mjs');
  });

  it("imports none of Node's modules the way that reads all their properties", () => {
    const modules = Object.entries(outputs).filter(([file]) => file.endsWith('.mjs'));
    expect(modules.length).toBeGreaterThan(10);
    const imported = modules.flatMap(([, { imports }]) => imports.filter(({ kind }) => kind === 'import-statement'));
    expect(imported.map(({ path }) => path).filter((path) => isBuiltin(path))).toEqual([]);
  });
});
