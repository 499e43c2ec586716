import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generatedTables, withTable } from './docs.ts';

const root = resolve(import.meta.dirname, '..');

describe('documents with tables from the code', () => {
  it.each(Object.entries(generatedTables()))('%s is up to date (node scripts/docs.ts)', (file, table) => {
    const document = readFileSync(join(root, file), 'utf8');
    expect(document).toBe(withTable(document, table));
  });
});

describe('links between documents', () => {
  const files = globSync(['*.md', 'docs/**/*.md', 'lab/*.md'], { cwd: root });

  it.each(files)('of %s lead to files that exist', (file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const targets = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? '');
    const local = targets.filter((target) => !/^[a-z]+:/.test(target));
    expect(local.filter((target) => !existsSync(join(root, dirname(file), target)))).toEqual([]);
  });
});
