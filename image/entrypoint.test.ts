import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { imageEntrypoint, imageEnvironment } from './entrypoint.ts';

describe('how the image starts Node', () => {
  const [node, ...words] = imageEntrypoint();
  const flags = words.slice(0, -1);
  const inNode = (script: string) =>
    execFileSync(process.execPath, [...flags, '--eval', script], { env: imageEnvironment(), encoding: 'utf8' }).trim();

  it('is with flags that the Node in the lock file knows', () => {
    expect(node).toBe('/usr/local/bin/node');
    expect(inNode('console.log(process.version)')).toBe(process.version);
  });

  it('lets nobody start the debugger from outside', () => {
    expect(flags).toContain('--disable-sigusr1');
  });

  it('is without optimising compilers, which take more memory than they save time', () => {
    const isOptimized =
      'const f = (n) => n + 1; for (let i = 0; i < 1e6; i += 1) f(i); console.log(%GetOptimizationStatus(f) & 16)';
    const options = { env: imageEnvironment(), encoding: 'utf8' } as const;
    const allow = ['--allow-natives-syntax', '--eval', isOptimized];
    expect(execFileSync(process.execPath, [...flags, ...allow], options)).toBe('0\n');
    expect(execFileSync(process.execPath, allow, options)).toBe('16\n');
  });

  it('is with one arena of malloc', () => {
    expect(imageEnvironment()).toMatchObject({ MALLOC_ARENA_MAX: '1' });
  });
});
