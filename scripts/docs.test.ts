import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generatedTables, withTable } from './docs.ts';

const root = resolve(import.meta.dirname, '..');

describe('documents with tables from the code', () => {
  it.each(Object.entries(generatedTables()))('%s is up to date (node scripts/docs.ts)', (file, table) => {
    const document = readFileSync(join(root, file), 'utf8');
    expect(document).toBe(withTable(document, table));
  });
});
