import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Makes `directory` by `make`, which fills a temporary folder beside it; a rename publishes it whole. Does nothing if it exists.
 * Two builders at once both finish; the first one's result stays.
 */
export async function builtInto(directory: string, make: (temporary: string) => Promise<void>): Promise<void> {
  if (existsSync(directory)) return;
  mkdirSync(dirname(directory), { recursive: true });
  const temporary = mkdtempSync(`${directory}.part-`);
  try {
    await make(temporary);
    if (!existsSync(directory)) renameSync(temporary, directory);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Fills `folder` with links to every file of `sources` and to `extra` (name → path), in place of whatever it held. */
export function linkInto(folder: string, sources: readonly string[], extra: Readonly<Record<string, string>>): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const source of sources) {
    for (const name of readdirSync(source)) symlinkSync(join(source, name), join(folder, name));
  }
  for (const [name, path] of Object.entries(extra)) symlinkSync(path, join(folder, name));
}

/** How many entries a folder holds; 0 if it does not exist. */
export function countEntries(folder: string): number {
  return existsSync(folder) ? readdirSync(folder).length : 0;
}
