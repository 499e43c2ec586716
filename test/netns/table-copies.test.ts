import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import { tableCopies } from '../../src/netns/table-copies.ts';
import { tableFingerprint } from '../../src/netns/table-fingerprint.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { createLab, insideNetns, type NetnsLab } from '../support/netns-lab.ts';
import { desiredOf } from '../support/netns-policy.ts';
import { emptyRuleset, quietRuleset, sampleRuleset } from '../support/netns-rulesets.ts';

/** A copy must be what libnftables made, to the last byte: nobody reads it back in full a second time. */
let effects: NetnsEffects;
let first: NetnsLab;
let second: NetnsLab;

beforeAll(async () => {
  effects = await kernelEffects();
});
beforeEach(() => {
  first = createLab();
  second = createLab();
});
afterEach(() => {
  first.close();
  second.close();
});

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

/** Without counts: of the sample's chains, some also see what the kernel itself sends (MLD). */
function text(lab: NetnsLab): string {
  return lab.pod.run('nft', '-a', '-s', 'list', 'ruleset');
}

/** What stands in the first pod, kept under the key `k`. */
function keep(name = ours.table) {
  const copies = tableCopies();
  insideNetns(first.pod.path, () => copies.keep('k', { name, fingerprint: tableFingerprint(name) ?? 'none' }));
  return { create: (lab = second) => insideNetns(lab.pod.path, () => copies.create('k')) };
}

function capture(lab: NetnsLab, ruleset = ours) {
  return captureNetns({ netnsPath: lab.pod.path, podIPs: [], ruleset, probes: [] }, effects);
}

describe('a copy', () => {
  it.each(rulesets)('is the same table, with the same handles: %s', (_, ruleset) => {
    capture(first, ruleset);
    expect(keep().create()).toBe(true);
    expect(text(second)).toBe(text(first));
  });

  it('counts from zero', () => {
    capture(first);
    const fresh = first.pod.run('nft', 'list', 'ruleset');
    // Of no real packet: one that the pod sends by itself, as when an IPv6 address comes up, would change the table while it is read.
    const counted = 'meta mark 7 counter packets 7 bytes 700';
    first.pod.run('sh', '-c', `nft "add rule inet istio_pod_network_controller output ${counted}"`);
    expect(keep().create()).toBe(true);
    expect(second.pod.run('nft', 'list', 'ruleset')).toContain('counter packets 0 bytes 0\n');
    expect(fresh).not.toContain('packets 7');
  });

  it('is refused where a table is, and changes nothing', () => {
    capture(first);
    second.pod.nft(`table inet ${ours.table} {\n chain theirs {\n  counter\n }\n}\n`);
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
    first.pod.nft(`table inet ${ours.table} {\n ${thing}\n}\n`);
    expect(keep().create()).toBe(false);
    expect(text(second)).toBe('');
  });

  it('is not made of a table that has changed since it was read', () => {
    capture(first);
    const copies = tableCopies();
    insideNetns(first.pod.path, () => copies.keep('k', { name: ours.table, fingerprint: 'another' }));
    expect(insideNetns(second.pod.path, () => copies.create('k'))).toBe(false);
  });
});

describe('the second pod of a policy', () => {
  it('gets the same rules as the first, proven', () => {
    const quiet = quietRuleset();
    capture(first, quiet);
    expect(capture(second, quiet)).toMatchObject({ action: 'applied', drift: [], backend: 'nft' });
    expect(text(second)).toBe(text(first));
    const prints = [first, second].map(({ pod }) => insideNetns(pod.path, () => tableFingerprint(ours.table)));
    expect(prints[1]).toBe(prints[0]);
    expect(capture(second, quiet)).toMatchObject({ action: 'kept' });
  });

  it('where a table of ours stands unmarked gets it replaced', () => {
    capture(first);
    second.pod.nft(`table inet ${ours.table} {\n chain theirs {\n  counter\n }\n}\n`);
    expect(capture(second)).toMatchObject({ action: 'applied' });
    expect(second.pod.run('nft', '-s', 'list', 'ruleset')).toBe(first.pod.run('nft', '-s', 'list', 'ruleset'));
  });
});
