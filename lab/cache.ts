import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
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

/** Makes `folder` hold links to every file of `source` and to `extra` (name → path), and nothing else; a link that is right is not touched. */
export function linkInto(folder: string, source: string, extra: Readonly<Record<string, string>>): void {
  const files = readdirSync(source).map((name): [string, string] => [name, join(source, name)]);
  const links = new Map([...files, ...Object.entries(extra)]);
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (!links.has(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  for (const [name, path] of links) linkFile(join(folder, name), path);
}

/** Links every file of a folder into another one, in the place of what is there under its name. */
export function linkFilesOf(folder: string, into: string): void {
  for (const name of readdirSync(folder)) {
    rmSync(join(into, name), { force: true });
    linkSync(join(folder, name), join(into, name));
  }
}

/** Makes `link` point to `target`, in place of whatever it was; nobody sees it missing. */
export function linkFile(link: string, target: string): void {
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() === true && readlinkSync(link) === target) return;
  mkdirSync(dirname(link), { recursive: true });
  rmSync(`${link}.new`, { force: true });
  symlinkSync(target, `${link}.new`);
  renameSync(`${link}.new`, link);
}

/** Names a folder of the cache: equal files and flags, equal keys. */
export function keyOf(files: readonly string[], flags: string): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file)).update('\0');
  return hash.update(flags).digest('hex').slice(0, 16);
}

/** How many entries a folder holds; 0 if it does not exist. */
export function countEntries(folder: string): number {
  return existsSync(folder) ? readdirSync(folder).length : 0;
}
