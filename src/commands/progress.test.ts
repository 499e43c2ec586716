import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Works without letting anything else in its thread run. */
function stderrOfWork(workMs: number, patienceMs: number): string {
  const module = JSON.stringify(join(import.meta.dirname, 'progress.ts'));
  const script = `
    const { withProgress } = await import(${module});
    const done = await withProgress('still at it', () => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${workMs});
      return 'done';
    }, { patienceMs: ${patienceMs} });
    process.stdout.write(done);
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(stdout).toBe('done');
  return stderr;
}

describe('progress', () => {
  it('is told while the work blocks its thread', () => {
    expect(stderrOfWork(1_500, 100)).toMatch(/^still at it \(\d+ s\)\n$/);
  });

  it('is not told of what is done soon', () => {
    expect(stderrOfWork(10, 5_000)).toBe('');
  });
});
