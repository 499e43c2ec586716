import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { schemaProblems } from '../../test/support/json-schema.ts';
import { runProduct } from '../../test/support/product.ts';

const root = resolve(import.meta.dirname, '../..');
const example = (name: string) => join(root, 'examples', name);
const namespace = ['-n', example('namespace.yaml')];

function schemaOf(verb: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(root, 'docs/schema', `${verb}.json`), 'utf8'));
}

function jsonOf(verb: string, ...argv: readonly string[]): unknown {
  return JSON.parse(runProduct([verb, ...argv, '-o', 'json']).stdout);
}

describe('what -o json prints is what docs/schema/ says', () => {
  const packet = ['--from', 'app', '--to', 'tcp://10.0.0.5:443', '--rules', 'all'];

  it.each([
    ['explain', ['-f', example('pod.yaml')]],
    ['explain', ['-f', example('pod-tproxy-dns.yaml')]],
    ['explain', ['-f', example('bookinfo.yaml'), ...namespace]],
    ['render', ['-f', example('pod.yaml')]],
    ['render', ['-f', example('pod-tproxy-dns.yaml'), '--backend', 'iptables']],
    ['render', ['-f', example('bookinfo.yaml'), ...namespace]],
    ['trace', ['-f', example('pod.yaml'), ...packet]],
    ['trace', ['-f', example('pod-tproxy-dns.yaml'), '--from', 'outside', '--to', 'tcp://pod6:9080']],
    ['trace', ['-f', example('opted-out.yaml'), ...packet]],
  ] as const)('%s %j', (verb, argv) => {
    expect(schemaProblems(schemaOf(verb), jsonOf(verb, ...argv))).toEqual([]);
  });

  it('and the check finds what differs', () => {
    const [pod] = [jsonOf('explain', '-f', example('pod.yaml'))].flat();
    const { action, ...without } = Object(pod);
    const changed = [{ ...without, policyHash: 'X', more: 1 }];
    expect(action).toBe('enroll');
    expect(schemaProblems(schemaOf('explain'), changed).join('\n')).toMatch(
      /action is missing[^]*"X" is not \^\[0-9a-f\][^]*more: is not in the schema/,
    );
  });
});
