import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fingerprint, isUpToDate, recordInputs } from './fingerprint.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fingerprint-test-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('fingerprint', () => {
  it('follows texts, file names and contents, and nothing else', async () => {
    const file = join(folder, 'a');
    await writeFile(file, 'one');
    const first = await fingerprint(['x'], [file]);
    expect(await fingerprint(['x'], [file])).toBe(first);
    expect(await fingerprint(['y'], [file])).not.toBe(first);
    await writeFile(file, 'two');
    expect(await fingerprint(['x'], [file])).not.toBe(first);
  });

  it('makes an output up to date only with the same inputs, and only if it exists', async () => {
    const output = join(folder, 'image.tar');
    await recordInputs(output, 'inputs');
    expect(await isUpToDate(output, 'inputs')).toBe(false);
    await writeFile(output, 'tar');
    expect(await isUpToDate(output, 'inputs')).toBe(true);
    expect(await isUpToDate(output, 'other')).toBe(false);
  });
});
