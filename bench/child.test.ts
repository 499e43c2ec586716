import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { runScript } from './child.ts';

const FOREVER = 'setInterval(() => undefined, 1_000)';

describe('a script', () => {
  it('that succeeds gives nothing to tell, and one that fails how', async () => {
    expect(await runScript(['-e', ''])).toBeUndefined();
    expect(await runScript(['-e', 'process.exit(3)'])).toBe('exit 3');
  });

  it('ends when it is asked to, with what it started if that is wanted', async () => {
    const stop = new AbortController();
    const ready = join(mkdtempSync(join(tmpdir(), 'istio-pnc-child-')), 'ready');
    const grandchild = `require('node:fs').writeFileSync(${JSON.stringify(ready)}, ''); ${FOREVER}`;
    // Goes by its own child alone, and so ends only when that was asked to end, too.
    const script = `
      process.on('SIGTERM', () => undefined);
      require('node:child_process')
        .spawn(process.execPath, ['-e', ${JSON.stringify(grandchild)}])
        .on('exit', (code, by) => process.exit(by === 'SIGTERM' ? 7 : 1));`;
    const ended = runScript(['-e', script], { signal: stop.signal, withChildren: true });
    await vi.waitFor(() => expect(existsSync(ready)).toBe(true), { timeout: 5_000 });
    stop.abort();

    expect(await ended).toBe('exit 7');
    rmSync(dirname(ready), { recursive: true });
  });

  it('is asked alone if it cleans up itself', async () => {
    const stop = new AbortController();
    const folder = mkdtempSync(join(tmpdir(), 'istio-pnc-child-'));
    const ready = join(folder, 'ready');
    const script = `
      const child = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(FOREVER)}]);
      child.on('exit', (code, by) => process.exit(by === 'SIGINT' ? 8 : 1));
      process.on('SIGTERM', () => child.kill('SIGINT'));
      child.on('spawn', () => require('node:fs').writeFileSync(${JSON.stringify(ready)}, ''));`;
    const ended = runScript(['-e', script], stop);
    await vi.waitFor(() => expect(existsSync(ready)).toBe(true), { timeout: 5_000 });
    stop.abort();

    expect(await ended).toBe('exit 8');
    rmSync(folder, { recursive: true });
  });

  it('is not begun once it is over', async () => {
    expect(await runScript(['-e', ''], { signal: AbortSignal.abort() })).toBe('not begun');
  });

  it('that takes too long is ended by force', async () => {
    expect(await runScript(['-e', `process.on('SIGTERM', () => undefined); ${FOREVER}`], { killAfterMs: 300 })).toBe(
      'SIGKILL',
    );
  });
});
