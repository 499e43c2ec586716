import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadImage } from './images.ts';
import { data } from './paths.ts';

const RECORD = join(data.config, 'loaded-images.json');

/** Loads the archives that were not loaded since they were last written. The record lives and dies with containerd's store. */
export async function loadNewImages(archives: readonly string[]): Promise<number> {
  const loaded = readRecord();
  let count = 0;
  for (const archive of archives) {
    const { mtimeMs, size } = statSync(archive);
    const stamp = `${mtimeMs} ${size}`;
    if (loaded[archive] === stamp) continue;
    await loadImage(archive);
    loaded[archive] = stamp;
    count += 1;
  }
  mkdirSync(data.config, { recursive: true });
  writeFileSync(`${RECORD}.new`, JSON.stringify(loaded));
  renameSync(`${RECORD}.new`, RECORD);
  return count;
}

function readRecord(): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(RECORD, 'utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
