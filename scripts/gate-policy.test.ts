import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { gateFiles } from './gate-policy.ts';

const root = resolve(import.meta.dirname, '..');

describe('what is written from the rule of the gate', () => {
  it.each(Object.entries(gateFiles()))('%s is up to date (node scripts/gate-policy.ts)', (file, text) => {
    expect(readFileSync(join(root, file), 'utf8')).toBe(text);
  });
});
