import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import { cleanNetns, inspectNetns, refuseNetns } from '../../src/agent/tend-netns.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { createLab, type NetnsLab, POD_V4, POD_V6 } from '../support/netns-lab.ts';
import { emptyRuleset, SAMPLE_PROBES, sampleRuleset } from '../support/netns-rulesets.ts';

/** Apply, repair, change, remove: what stands in the kernel before and after. */
let effects: NetnsEffects;
let lab: NetnsLab;

beforeAll(async () => {
  effects = await kernelEffects();
});
beforeEach(() => {
  lab = createLab();
});
afterEach(() => lab.close());

const ours = sampleRuleset();
const TABLE_ARGV = ['list', 'table', 'inet', ours.table] as const;

function capture(ruleset: Ruleset = ours, podIPs: readonly string[] = [POD_V4]) {
  const probes = ruleset.chains.length === 0 ? [] : SAMPLE_PROBES;
  return captureNetns({ netnsPath: lab.pod.path, podIPs, ruleset, probes }, effects);
}

function handles(): string {
  return lab.pod.run('nft', '-a', '-s', ...TABLE_ARGV);
}

describe('a fresh netns', () => {
  it('gets rules, proof and mark', () => {
    const outcome = capture();
    expect(outcome).toMatchObject({ action: 'applied', drift: [], unroutable: [], foreignAlias: undefined });
    expect(outcome.netnsCookie).toMatch(/^\d+$/);
    expect(inspectNetns(lab.pod.path, effects, ours)).toMatchObject({
      mark: { kind: 'ready', policyHash: ours.policyHash },
      policyHash: ours.policyHash,
      netnsCookie: outcome.netnsCookie,
      drift: [],
    });
    expect(lab.pod.run('ip', 'link', 'show', 'lo')).toContain(
      `alias istio-pod-network-controller v1 ready ${ours.policyHash}`,
    );
  });

  it('is left alone the second time', () => {
    capture();
    const before = handles();
    expect(capture()).toMatchObject({ action: 'kept', drift: [] });
    expect(handles()).toBe(before);
  });

  it('gets table and mark, and no chain, where nothing is to be captured', () => {
    const none = emptyRuleset();
    expect(capture(none).action).toBe('applied');
    expect(handles()).not.toContain('chain');
    expect(capture(none).action).toBe('kept');
  });

  it('is known by an IPv6 address too, however it is written', () => {
    expect(capture(ours, ['2001:DB8:1:0:0:0:0:10']).action).toBe('applied');
    expect(capture(ours, ['192.0.2.99', POD_V6]).action).toBe('kept');
  });
});

describe('strangers', () => {
  it('find their tables as they were', () => {
    lab.pod.nft(
      'table ip theirs {\n chain out {\n type nat hook output priority 10\n tcp dport 5 counter redirect to :6\n }\n}\n',
    );
    lab.pod.nft(
      'table inet istio_pod_network_controller2 {\n set a {\n type ipv4_addr\n elements = { 192.0.2.1 }\n }\n}\n',
    );
    const theirs = () =>
      ['list table ip theirs', 'list table inet istio_pod_network_controller2'].map((command) =>
        lab.pod.run('nft', '-a', command),
      );
    const before = theirs();
    capture();
    capture(sampleRuleset({ sets: ours.sets.toReversed() }));
    expect(theirs()).toEqual(before);
    cleanNetns(lab.pod.path, effects);
    expect(theirs()).toEqual(before);
    expect(lab.pod.run('nft', 'list', 'tables').trim().split('\n')).toHaveLength(2);
  });

  it("lose the alias of lo, and it is told whose it was; clean leaves a stranger's alias", () => {
    lab.pod.run('ip', 'link', 'set', 'lo', 'alias', 'mine');
    expect(capture()).toMatchObject({ action: 'applied', foreignAlias: 'mine' });
    lab.pod.run('ip', 'link', 'set', 'lo', 'alias', 'mine');
    expect(cleanNetns(lab.pod.path, effects)).toEqual({
      tableRemoved: true,
      routingRemoved: false,
      markRemoved: false,
    });
    expect(lab.pod.run('ip', 'link', 'show', 'lo')).toContain('alias mine');
  });
});

describe('clean', () => {
  it('removes table and mark, and may be repeated', () => {
    capture();
    expect(cleanNetns(lab.pod.path, effects)).toEqual({ tableRemoved: true, routingRemoved: false, markRemoved: true });
    expect(lab.pod.run('nft', 'list', 'ruleset')).toBe('');
    expect(inspectNetns(lab.pod.path, effects)).toMatchObject({ mark: { kind: 'none' }, policyHash: undefined });
    expect(cleanNetns(lab.pod.path, effects)).toEqual({
      tableRemoved: false,
      routingRemoved: false,
      markRemoved: false,
    });
  });
});

describe('a transaction the kernel refuses', () => {
  const [first, ...rest] = ours.chains;
  const broken = sampleRuleset({
    chains:
      first === undefined
        ? []
        : [
            ...rest,
            {
              ...first,
              rules: [...first.rules, { matches: [], verdict: { kind: 'jump', chain: 'nowhere' }, reason: 'broken' }],
            },
          ],
  });

  it('changes nothing in a fresh netns', () => {
    expect(() => capture(broken)).toThrow(expect.objectContaining({ code: 'NftRejected' }));
    expect(lab.pod.run('nft', 'list', 'ruleset')).toBe('');
    expect(inspectNetns(lab.pod.path, effects).mark).toEqual({ kind: 'none' });
  });

  it('changes nothing where rules stand', () => {
    capture();
    const before = handles();
    expect(() => capture(broken)).toThrow(expect.objectContaining({ code: 'NftRejected' }));
    expect(handles()).toBe(before);
    expect(capture().action).toBe('kept');
  });
});

describe('drift', () => {
  const tampered: readonly (readonly [string, string, string])[] = [
    ['a flushed chain', `flush chain inet ${ours.table} output`, 'chain output rule 1'],
    ['a rule too many', `insert rule inet ${ours.table} output accept`, 'chain output rule 1'],
    ['a foreign chain', `add chain inet ${ours.table} extra`, 'chain extra'],
    [
      'a port less',
      `delete element inet ${ours.table} excluded_inbound_ports { 22 }`,
      'set excluded_inbound_ports elements',
    ],
    [
      'a range more',
      `add element inet ${ours.table} excluded_ranges_v6 { 2001:db8:99::/48 }`,
      'set excluded_ranges_v6 elements',
    ],
    ['a table put to sleep', `add table inet ${ours.table} { flags dormant; }`, 'table'],
    ['a map', `add map inet ${ours.table} m { type inet_service : ipv4_addr; }`, 'table'],
  ];
  it.each(tampered)('%s is found and repaired', (_, command, where) => {
    capture();
    lab.pod.run('nft', command);
    const outcome = capture();
    expect(outcome.action).toBe('applied');
    expect(outcome.drift[0]?.where).toMatch(new RegExp(`^${where}`));
    expect(capture()).toMatchObject({ action: 'kept', drift: [] });
  });

  it('a rule that says the same but does another thing is found', () => {
    capture();
    const listing = lab.pod.run('nft', '-a', ...TABLE_ARGV);
    const handle = /tcp dport @excluded_outbound_ports .* # handle (\d+)/.exec(listing)?.[1] ?? 'none';
    lab.pod.run(
      'nft',
      `replace rule inet ${ours.table} output handle ${handle} tcp dport 9301 counter return comment "excludeOutboundPorts"`,
    );
    expect(capture().drift).toEqual([
      {
        where: 'chain output rule 1',
        expected: 'tcp dport @excluded_outbound_ports return comment "excludeOutboundPorts"',
        found: 'tcp dport 9301 return comment "excludeOutboundPorts"',
      },
    ]);
  });

  it('a lost table under a ready mark is drift', () => {
    capture();
    lab.pod.run('nft', 'delete', 'table', 'inet', ours.table);
    expect(capture()).toMatchObject({ action: 'applied', drift: [{ where: 'table', found: 'absent' }] });
  });

  it('a lost, altered or stolen mark is written anew, and no rule is touched', () => {
    capture();
    const before = handles();
    for (const alias of ['', 'istio-pod-network-controller v1 ready ffffffffffffffff', 'mine']) {
      lab.pod.run('ip', 'link', 'set', 'lo', 'alias', alias);
      expect(capture()).toMatchObject({ action: 'remarked', drift: [] });
    }
    expect(handles()).toBe(before);
    expect(capture().action).toBe('kept');
  });

  it('other rules of another policy are no drift', () => {
    capture();
    const [, ...sets] = ours.sets;
    const other = sampleRuleset({ sets: [{ name: 'excluded_inbound_ports', type: 'port', elements: [22] }, ...sets] });
    expect(capture(other)).toMatchObject({ action: 'applied', drift: [], previousPolicyHash: ours.policyHash });
    expect(capture(other).action).toBe('kept');
  });

  it('the same rules under another hash are written anew', () => {
    capture();
    const other = sampleRuleset({ sets: ours.sets.toReversed() });
    expect(capture(other)).toMatchObject({ action: 'applied', drift: [], previousPolicyHash: ours.policyHash });
    expect(inspectNetns(lab.pod.path, effects).mark).toEqual({ kind: 'ready', policyHash: other.policyHash });
  });
});

describe('refusing', () => {
  const refusal = {
    podIPs: [POD_V4],
    code: 'InvalidCapturePolicy',
    text: 'excludeOutboundPorts="x": allowed is a list',
  };

  it('marks, once, and a later capture opens the gate', () => {
    const request = { netnsPath: lab.pod.path, ...refusal };
    expect(refuseNetns(request, effects)).toBe('marked');
    expect(refuseNetns(request, effects)).toBe('already');
    expect(refuseNetns({ ...request, text: 'other' }, effects)).toBe('marked');
    expect(inspectNetns(lab.pod.path, effects).mark).toEqual({
      kind: 'refused',
      code: 'InvalidCapturePolicy',
      text: 'other',
    });
    expect(lab.pod.run('nft', 'list', 'ruleset')).toBe('');
    expect(capture().action).toBe('applied');
    expect(inspectNetns(lab.pod.path, effects).mark.kind).toBe('ready');
  });

  it('leaves a captured pod as it runs', () => {
    capture();
    const before = handles();
    expect(refuseNetns({ netnsPath: lab.pod.path, ...refusal }, effects)).toBe('keptReady');
    expect(handles()).toBe(before);
    expect(capture().action).toBe('kept');
  });

  it('a ready mark without rules does not count as captured', () => {
    capture();
    lab.pod.run('nft', 'delete', 'table', 'inet', ours.table);
    expect(refuseNetns({ netnsPath: lab.pod.path, ...refusal }, effects)).toBe('marked');
  });
});
