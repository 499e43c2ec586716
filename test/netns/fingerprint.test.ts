import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import { tableFingerprint } from '../../src/netns/table-fingerprint.ts';
import { createLab, type NetnsLab } from '../support/netns-lab.ts';
import { quietRuleset } from '../support/netns-rulesets.ts';

/** The short cut of the read-back is sound only if nothing in a table can change without changing its fingerprint. */
let effects: NetnsEffects;
let lab: NetnsLab;
const ruleset = quietRuleset();
const { table } = ruleset;

beforeAll(async () => {
  effects = await kernelEffects();
});
beforeEach(() => {
  lab = createLab();
  captureNetns({ netnsPath: lab.pod.path, podIPs: [], ruleset, probes: [] }, effects);
});
afterEach(() => lab.close());

function fingerprint(where = lab): string | undefined {
  const netns = effects.open(where.pod.path);
  try {
    return effects.enter(netns, () => tableFingerprint(table));
  } finally {
    netns.close();
  }
}

it('is the same for the same table in another netns, whatever else stands there', () => {
  const other = createLab();
  captureNetns({ netnsPath: other.pod.path, podIPs: [], ruleset, probes: [] }, effects);
  other.pod.nft(
    'table inet later {\n chain out {\n type filter hook output priority 0\n counter\n }\n set s {\n type mark\n }\n}\n',
  );
  expect(fingerprint(other)).toBe(fingerprint());
  expect(fingerprint()).toMatch(/^[\w+/]{43}=$/);
  other.close();
});

it.each([
  ['a rule more', `add rule inet ${table} output counter`],
  ['a rule in front', `insert rule inet ${table} output counter`],
  ['a flushed chain', `flush chain inet ${table} output`],
  ['a port more', `add element inet ${table} excluded_inbound_ports { 23 }`],
  ['a port less', `delete element inet ${table} excluded_inbound_ports { 22 }`],
  [
    'a port for another',
    `delete element inet ${table} excluded_inbound_ports { 22 }; add element inet ${table} excluded_inbound_ports { 23 }`,
  ],
  ['a range more', `add element inet ${table} excluded_ranges_v6 { 2001:db8:99::/48 }`],
  ['another chain', `add chain inet ${table} extra`],
  ['another set', `add set inet ${table} extra { type mark; }`],
  ['a dormant table', `add table inet ${table} { flags dormant; }`],
])('changes with %s', (_, command) => {
  const before = fingerprint();
  lab.pod.run('nft', command);
  expect(fingerprint()).not.toBe(before);
});

it('changes with what a rule does', () => {
  const before = fingerprint();
  const script = lab.pod.run('nft', '-s', 'list', 'table', 'inet', table);
  lab.pod.nft(`delete table inet ${table}\n${script}`);
  const again = fingerprint();
  lab.pod.nft(`delete table inet ${table}\n${script.replace('redirect to :15001', 'redirect to :15002')}`);
  expect(new Set([before, again, fingerprint()]).size).toBe(3);
});

it('tells nothing of a table that is not there', () => {
  lab.pod.run('nft', 'delete', 'table', 'inet', table);
  expect(fingerprint()).toBeUndefined();
});
