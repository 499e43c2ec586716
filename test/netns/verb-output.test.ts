import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { schemaProblems } from '../support/json-schema.ts';
import { createLab, type NetnsLab } from '../support/netns-lab.ts';
import { runProduct } from '../support/product.ts';

const root = resolve(import.meta.dirname, '../..');
const pod = ['-f', join(root, 'examples/pod.yaml')];
const other = ['-f', join(root, 'examples/pod-tproxy-dns.yaml')];
const TABLE = 'inet istio_pod_network_controller';

/** One netns, from nothing to nothing; each step is the state the next one meets. */
describe('apply, verify and clean', () => {
  let lab: NetnsLab;
  beforeAll(() => {
    lab = createLab();
  });
  afterAll(() => lab.close());

  /** As a person reads it, and as a script does; the schema holds for the latter. */
  function run(verb: string, ...argv: readonly string[]) {
    const given = [verb, '--netns', lab.pod.path, ...argv];
    const { status, stdout, stderr } = runProduct([...given, '-o', 'json']);
    expect(stderr).toBe('');
    const json = JSON.parse(stdout);
    const schema = JSON.parse(readFileSync(join(root, 'docs/schema', `${verb}.json`), 'utf8'));
    expect(schemaProblems(schema, json)).toEqual([]);
    return { status, json, text: (verb === 'verify' ? runProduct(given) : { stdout: '' }).stdout };
  }

  it('without rules, every one of them is missing', () => {
    const { status, json, text } = run('verify', ...pod);
    expect([status, json.mark]).toEqual([1, { kind: 'none' }]);
    expect(text).toMatch(
      /rules: none of ours\n {2}mark: none: the gate is shut\n {2}table\n {2}- istio.*\n {2}\+ absent\n/,
    );
    expect(run('verify').status).toBe(0);
  });

  it('apply writes, then keeps', () => {
    expect(run('apply', ...pod)).toMatchObject({ status: 0, json: { action: 'applied', drift: [] } });
    expect(run('apply', ...pod)).toMatchObject({ status: 0, json: { action: 'kept' } });
  });

  it('verify finds what was wanted, with a manifest and without', () => {
    expect(run('verify', ...pod)).toMatchObject({ status: 0, json: { drift: [] } });
    expect(run('verify')).toMatchObject({ status: 0, text: expect.stringContaining('no drift') });
  });

  it('a rule more is a difference, in the words of render', () => {
    lab.pod.nft(`insert rule ${TABLE} output tcp dport 9 return`);
    const { status, text } = run('verify', ...pod);
    expect(status).toBe(1);
    expect(text).toMatch(/there\n.*\n.*\n {2}chain output\n {2}\+ tcp dport 9 return\n$/);
    expect(run('apply', ...pod).json).toMatchObject({
      action: 'applied',
      drift: expect.arrayContaining([expect.anything()]),
    });
  });

  it('rules of another policy are told as such', () => {
    const { status, json, text } = run('verify', ...other);
    expect(status).toBe(1);
    expect(json.wantedPolicyHash).not.toBe(json.policyHash);
    expect(text).toContain(
      `rules: policy ${json.policyHash}, by nft: not the pod's, which is ${json.wantedPolicyHash}`,
    );
  });

  it('a mark that names other rules than stand there is a difference even without a manifest', () => {
    lab.pod.run('ip', 'link', 'set', 'lo', 'alias', 'istio-pod-network-controller v1 ready 0123456789abcdef');
    const { status, text } = run('verify');
    expect(status).toBe(1);
    expect(text).toMatch(/mark\n {2}- ready for policy (?!0123)\w{16}\n {2}\+ ready for policy 0123456789abcdef/);
  });

  it('clean leaves nothing, twice', () => {
    expect(run('clean').json).toMatchObject({ tableRemoved: true, markRemoved: true });
    expect(run('clean').json).toMatchObject({ tableRemoved: false, routingRemoved: false, markRemoved: false });
    expect(run('verify').json).toMatchObject({ mark: { kind: 'none' }, backends: [], drift: [] });
  });
});
