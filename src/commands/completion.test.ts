import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProduct } from '../../test/support/product.ts';
import { flagKey } from '../config/flag.ts';
import { RUN_FLAGS } from '../config/flags.ts';
import { messageOf } from '../errors.ts';
import { CHOICES } from './verb-flags.ts';

const NAME = 'istio-pod-network-controller';
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'istio-pnc-completion-'));
  const main = join(resolve(import.meta.dirname, '..'), 'main.ts');
  writeFileSync(join(directory, NAME), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  chmodSync(join(directory, NAME), 0o755);
  writeFileSync(join(directory, 'completion.bash'), runProduct(['completion', 'bash']).stdout);
});
afterAll(() => rmSync(directory, { recursive: true }));

/** What bash has to offer after these words. */
function proposedByBash(...words: readonly string[]): readonly string[] {
  const script = [
    `source '${join(directory, 'completion.bash')}'`,
    `COMP_WORDS=(${[NAME, ...words].map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}`,
    '_istio_pod_network_controller',
    'printf "%s\\n" "${COMPREPLY[@]}"',
  ].join('\n');
  const env = { PATH: `${directory}:${process.env['PATH'] ?? ''}` };
  return execFileSync('bash', ['--norc', '-c', script], { encoding: 'utf8', env }).split('\n').filter(Boolean);
}

describe('completion', () => {
  it('proposes verbs, flags and the values of flags that have few', () => {
    expect(proposedByBash('ex')).toEqual(['explain']);
    expect(proposedByBash('trace', '--f')).toEqual(['--filename', '--from']);
    expect(proposedByBash('trace', '--from', '')).toEqual(['app', 'proxy', 'outside']);
    expect(proposedByBash('render', '--backend', '')).toEqual(['nft', 'iptables']);
    expect(proposedByBash('apply', '--backend', 'n')).toEqual(['nft', 'nft-spawned']);
    expect(proposedByBash('status', '--output', '')).toEqual(['text', 'wide', 'json', 'name']);
    expect(proposedByBash('preflight', '--i')).toEqual(['--istio-namespace']);
  });

  it('leaves file names to the shell', () => {
    expect(proposedByBash('explain', '-f', '')).toEqual([]);
  });

  it('knows three shells, and names them to whoever asks for another', () => {
    for (const shell of ['bash', 'zsh', 'fish'])
      expect(runProduct(['completion', shell]).stdout).toContain('__complete');
    expect(runProduct(['completion', 'tcsh'])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/bash, zsh, fish/),
    });
  });

  it('proposes exactly what flags with a list of words take', () => {
    const listed = Object.values(RUN_FLAGS).flatMap((spec) => {
      const words = /^one of (.*)$/.exec(refusalOf(spec))?.[1]?.split(', ');
      return words === undefined ? [] : [[flagKey(spec), words] as const];
    });
    expect(listed.length).toBeGreaterThan(4);
    for (const [key, words] of listed) expect([key, CHOICES[key]]).toEqual([key, words]);
  });
});

function refusalOf({ parse }: { readonly parse: (raw: string) => unknown }): string {
  try {
    parse('\u0000');
    return '';
  } catch (error: unknown) {
    return messageOf(error);
  }
}
