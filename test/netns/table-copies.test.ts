import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import { tableCopies } from '../../src/netns/table-copies.ts';
import { tableFingerprint } from '../../src/netns/table-fingerprint.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { createBareNetns, insideNetns, type LabNetns } from '../support/netns-lab.ts';
import { desiredOf } from '../support/netns-policy.ts';
import { emptyRuleset, sampleRuleset } from '../support/netns-rulesets.ts';

/**
 * A copy must be what libnftables made, to the last byte: nobody reads it back in full a second time. Loopback alone, because a neighbour's
 * multicast report (MLD) would be counted, and a table that counts while it is read is not kept.
 */
let effects: NetnsEffects;
let first: BareNetns;
let second: BareNetns;

beforeAll(async () => {
  effects = await kernelEffects();
});
beforeEach(() => {
  first = createBareNetns();
  second = createBareNetns();
});
afterEach(() => {
  first.close();
  second.close();
});

type BareNetns = ReturnType<typeof createBareNetns>;

const ours = sampleRuleset();
const rulesets: readonly (readonly [string, Ruleset])[] = [
  ['one of everything', ours],
  ['an empty table', emptyRuleset()],
  ['REDIRECT', desiredOf({}).ruleset],
  ['TPROXY', desiredOf({ annotations: { 'sidecar.istio.io/interceptionMode': 'TPROXY' } }).ruleset],
  [
    'exclusions',
    desiredOf({ annotations: { excludeOutboundIPRanges: '192.0.2.0/24,10.0.0.0/8,10.1.0.0/16' } }).ruleset,
  ],
  [
    'ranges to the end of the address space',
    desiredOf({ annotations: { includeOutboundIPRanges: '0.0.0.0/1,255.0.0.0/8,ffff::/16,2001:db8::/32' } }).ruleset,
  ],
];

function text(netns: LabNetns): string {
  return netns.run('nft', '-a', 'list', 'ruleset');
}

/** What stands in the first pod, kept under the key `k`. */
function keep(name = ours.table) {
  const copies = tableCopies();
  insideNetns(first.path, () => copies.keep('k', { name, fingerprint: tableFingerprint(name) ?? 'none' }));
  return { create: (netns = second) => insideNetns(netns.path, () => copies.create('k')) };
}

function capture(netns: LabNetns, ruleset = ours) {
  return captureNetns({ netnsPath: netns.path, podIPs: [], ruleset, probes: [] }, effects);
}

describe('a copy', () => {
  it.each(rulesets)('is the same table, with the same handles: %s', (_, ruleset) => {
    capture(first, ruleset);
    expect(keep().create()).toBe(true);
    expect(text(second)).toBe(text(first));
  });

  it('counts from zero', () => {
    capture(first);
    const fresh = first.run('nft', 'list', 'ruleset');
    first.nft(`add rule inet ${ours.table} output meta mark 7 counter packets 7 bytes 700\n`);
    expect(keep().create()).toBe(true);
    expect(second.run('nft', 'list', 'ruleset')).toContain('counter packets 0 bytes 0\n');
    expect(fresh).not.toContain('packets 7');
  });

  it('is refused where a table is, and changes nothing', () => {
    capture(first);
    second.nft(`table inet ${ours.table} {\n chain theirs {\n  counter\n }\n}\n`);
    const before = text(second);
    expect(keep().create()).toBe(false);
    expect(text(second)).toBe(before);
  });

  it.each([
    ['a set whose elements expire', 'set s { type mark; timeout 1h; }'],
    ['a map', 'map m { type mark : mark; }'],
    ['an element with a counter', 'set s { type mark; counter; elements = { 5 }; }'],
  ])('is not made of %s', (_, thing) => {
    capture(first);
    first.nft(`table inet ${ours.table} {\n ${thing}\n}\n`);
    expect(keep().create()).toBe(false);
    expect(text(second)).toBe('');
  });

  it('is not made of a table that has changed since it was read', () => {
    capture(first);
    const copies = tableCopies();
    insideNetns(first.path, () => copies.keep('k', { name: ours.table, fingerprint: 'another' }));
    expect(insideNetns(second.path, () => copies.create('k'))).toBe(false);
  });
});

describe('the second pod of a policy', () => {
  it('gets the same rules as the first, proven', () => {
    capture(first);
    expect(capture(second)).toMatchObject({ action: 'applied', drift: [], backend: 'nft' });
    expect(text(second)).toBe(text(first));
    const prints = [first, second].map(({ path }) => insideNetns(path, () => tableFingerprint(ours.table)));
    expect(prints[1]).toBe(prints[0]);
    expect(capture(second)).toMatchObject({ action: 'kept' });
  });

  it('where a table of ours stands unmarked gets it replaced', () => {
    capture(first);
    second.nft(`table inet ${ours.table} {\n chain theirs {\n  counter\n }\n}\n`);
    expect(capture(second)).toMatchObject({ action: 'applied' });
    expect(second.run('nft', 'list', 'ruleset')).toBe(first.run('nft', 'list', 'ruleset'));
  });
});
