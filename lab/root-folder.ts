import { chmodSync, copyFileSync, linkSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { command } from './command.ts';

/** A file system that is put together for an image. Paths inside are absolute, as the container sees them. */
export class RootFolder {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** Copies one file; a hard link where the file system allows, for the programs are large. */
  copy(source: string, target: string): void {
    const place = this.#place(target);
    try {
      linkSync(realpathSync(source), place);
    } catch {
      copyFileSync(source, place);
    }
  }

  write(target: string, text: string): void {
    writeFileSync(this.#place(target), text);
  }

  link(to: string, target: string): void {
    symlinkSync(to, this.#place(target));
  }

  makeFolder(target: string, mode: number): void {
    mkdirSync(join(this.folder, target), { recursive: true });
    // After the fact: mkdir applies the umask.
    chmodSync(join(this.folder, target), mode);
  }

  /** Copies the shared libraries (and the loader) that these programs need, to where the programs look for them. */
  async copyLibrariesOf(programs: readonly string[]): Promise<void> {
    const libraries = new Set<string>();
    for (const program of programs) {
      const listing = await command(['ldd', program]);
      for (const match of listing.matchAll(/(?:=> )?(\/\S+) \(0x/g))
        if (match[1] !== undefined) libraries.add(match[1]);
    }
    for (const library of libraries) this.copy(library, library);
  }

  #place(target: string): string {
    const place = join(this.folder, target);
    mkdirSync(dirname(place), { recursive: true });
    return place;
  }
}
