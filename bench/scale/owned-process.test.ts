import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { poll } from '../../lab/poll.ts';
import { startOwned } from './owned-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'istio-pnc-owned-'));
const log = join(folder, 'log');
afterAll(() => rmSync(folder, { recursive: true }));

it('runs until it is ended', async () => {
  const child = await startOwned(['sleep', '60'], log);

  expect(child.running()).toBe(true);
  await child.end('SIGTERM');
  expect(child.running()).toBe(false);
  expect(existsSync(`/proc/${child.pid}`)).toBe(false);
});

it('is ended by force when it does not end by itself', async () => {
  const child = await startOwned(['sh', '-c', 'trap "" TERM; echo deaf; while :; do sleep 0.05; done'], log);
  await poll(async () => child.tail().includes('deaf'), {
    what: 'it listens no more',
    timeoutMs: 5_000,
    intervalMs: 20,
  });

  await child.end('SIGTERM', 50);

  expect(child.running()).toBe(false);
});

it('ends when the one who started it is killed', async () => {
  const module = JSON.stringify(import.meta.resolve('./owned-process.ts'));
  const script = `
    const { startOwned } = await import(${module});
    const { pid } = await startOwned(['sleep', '60'], ${JSON.stringify(log)});
    process.stdout.write(String(pid), () => process.kill(process.pid, 'SIGKILL'));
    await new Promise(() => setTimeout(() => undefined, 60_000));`;

  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });

  expect(stdout).toMatch(/^\d+$/);
  await poll(async () => !existsSync(`/proc/${stdout}`), { what: 'it ends', timeoutMs: 5_000, intervalMs: 20 });
});
