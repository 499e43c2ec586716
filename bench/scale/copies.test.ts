import { generateKeyPairSync, verify } from 'node:crypto';
import { expect, it } from 'vitest';
import { copyStored, copyToken } from './copies.ts';

it('replaces texts wherever they are, and leaves the lengths before them true', () => {
  const stored = Buffer.from('k8s\0\x0anode-00000\x10agent-node-00000\xff', 'latin1');

  const copy = copyStored(stored, { 'node-00000': 'node-00417' });

  expect(copy.toString('latin1')).toBe('k8s\0\x0anode-00417\x10agent-node-00417\xff');
  expect(stored.toString('latin1')).toContain('node-00000');
});

it('replaces what was there, not what was put there', () => {
  expect(copyStored(Buffer.from('a-b'), { a: 'b', b: 'c' }).toString()).toBe('b-c');
});

it.each([
  ['longer', { a: 'bc' }],
  ['absent', { x: 'y' }],
])('refuses a text that is %s: the copy would be no object, or the same one', (_what, replacements) => {
  expect(() => copyStored(Buffer.from('a-b'), replacements)).toThrow(/length|there is no/);
});

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const token = `${encoded({ alg: 'ES256' })}.${encoded({ sub: 's', node: { name: 'node-0', uid: 'u-0' } })}.signature`;

it('makes a token about another node that the key vouches for', () => {
  const copy = copyToken(token, { 'node-0': 'node-1', 'u-0': 'u-1' }, privateKey);
  const [header = '', payload = '', signature = ''] = copy.split('.');

  expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toStrictEqual({
    sub: 's',
    node: { name: 'node-1', uid: 'u-1' },
  });
  expect(
    verify(
      'sha256',
      Buffer.from(`${header}.${payload}`),
      { key: publicKey, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    ),
  ).toBe(true);
});

it('refuses to make one that says what the first did not', () => {
  expect(() => copyToken(token, { 'node-7': 'node-8' }, privateKey)).toThrow('does not say node-7');
});
