import { spawnSync } from 'node:child_process';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import { cleanNetns, inspectNetns, refuseNetns } from '../../src/agent/tend-netns.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { createBareNetns, type LabNetns } from '../support/netns-lab.ts';
import { emptyRuleset, sampleRuleset } from '../support/netns-rulesets.ts';

/** What stands in iptables before and after: of ours, and of strangers. */
const ours = sampleRuleset();
const other = sampleRuleset({ sets: ours.sets.map((set) => (set.type === 'port' ? { ...set, elements: [7] } : set)) });
const FAMILIES = ['iptables', 'ip6tables'] as const;

describe.each([
  ['iptables-nft', 'nft'],
  ['iptables-legacy', 'legacy'],
] as const)('%s', (backend, variant) => {
  let effects: NetnsEffects;
  // Nothing in it sends packets of its own, so that counters stand still.
  let pod: ReturnType<typeof createBareNetns>;
  beforeAll(async () => {
    effects = await kernelEffects({ backend });
  });
  beforeEach(() => {
    pod = createBareNetns();
  });
  afterEach(() => pod.close());

  const capture = (ruleset: Ruleset = ours) =>
    captureNetns({ netnsPath: pod.path, podIPs: [], ruleset, probes: [] }, effects);
  const iptables = (...argv: readonly string[]) => pod.run(`iptables-${variant}`, ...argv);
  /** Everything there is, by line, without the times at which it was printed. */
  const saved = (...options: readonly string[]) =>
    FAMILIES.flatMap((family) => pod.run(`${family}-${variant}-save`, ...options).split('\n')).filter(
      (line) => line !== '' && !line.startsWith('#'),
    );
  const savedOfStrangers = () => saved('-c').filter((line) => !/^:IPNC_|-A IPNC_|-j IPNC_\w+$/.test(line));

  it('is written, read back, kept the second time, and removed', () => {
    expect(capture()).toMatchObject({ action: 'applied', backend, drift: [] });
    const before = saved('-c');
    expect(before.filter((line) => line.startsWith(':IPNC_'))).not.toEqual([]);
    expect(capture()).toMatchObject({ action: 'kept', drift: [] });
    expect(saved('-c')).toEqual(before);
    expect(inspectNetns(pod.path, effects, ours)).toMatchObject({
      backends: [backend],
      policyHash: ours.policyHash,
      drift: [],
      listing: { ipv4: expect.stringContaining('IPNC_output'), ipv6: expect.stringContaining('IPNC_output') },
    });
    expect(cleanNetns(pod.path, effects)).toMatchObject({ tableRemoved: true, markRemoved: true });
    expect(saved().filter((line) => line.includes('IPNC_'))).toEqual([]);
    expect(cleanNetns(pod.path, effects)).toMatchObject({ tableRemoved: false, markRemoved: false });
    expect(inspectNetns(pod.path, effects, ours).drift).toEqual([
      { where: 'table', expected: ours.table, found: 'absent' },
    ]);
  });

  it('in mode NONE is a marker, without conntrack, and kept', () => {
    const none = emptyRuleset();
    expect(capture(none).action).toBe('applied');
    expect(capture(none)).toMatchObject({ action: 'kept', previousPolicyHash: none.policyHash });
    expect(saved()).not.toContain('*nat');
  });

  it("leaves a stranger's rules as they were, byte for byte, with their counters", () => {
    strangers(pod, variant);
    const before = saved('-c');
    expect(before.length).toBeGreaterThan(40);
    capture();
    expect(savedOfStrangers()).toEqual(before);
    capture(other);
    iptables('-t', 'nat', '-D', 'OUTPUT', '1');
    iptables('-t', 'nat', '-A', 'OUTPUT', '-p', 'tcp', '--dport', '4', '-j', 'RETURN');
    iptables('-t', 'nat', '-D', 'OUTPUT', '-p', 'tcp', '--dport', '4', '-j', 'RETURN');
    expect(capture(other)).toMatchObject({ action: 'applied' });
    expect(savedOfStrangers()).toEqual(before);
    cleanNetns(pod.path, effects);
    expect(saved('-c')).toEqual(before);
  });

  it('a policy that the kernel refuses changes nothing, in a fresh netns and where rules stand', () => {
    strangers(pod, variant);
    const bare = saved();
    expect(() => capture(refused())).toThrow(expect.objectContaining({ code: 'IptablesRejected' }));
    expect(saved()).toEqual(bare);
    expect(inspectNetns(pod.path, effects).mark).toEqual({ kind: 'none' });
    capture();
    const before = saved();
    expect(() => capture(refused())).toThrow(expect.objectContaining({ code: 'IptablesRejected' }));
    expect(saved()).toEqual(before);
    expect(capture()).toMatchObject({ action: 'kept', drift: [] });
  });

  it.each([
    ['a flushed chain', ['-F', 'IPNC_output'], 'ip nat chain IPNC_output rule 1'],
    ['a rule too many', ['-I', 'IPNC_output', '-j', 'ACCEPT'], 'ip nat chain IPNC_output rule 1'],
    ['a jump less', ['-D', 'OUTPUT', '1'], 'ip nat chain OUTPUT'],
    ["a stranger's rule before the jump", ['-I', 'OUTPUT', '-p', 'tcp', '-j', 'ACCEPT'], 'ip nat chain OUTPUT'],
    ['a chain too many', ['-N', 'IPNC_extra'], 'ip nat chain IPNC_extra'],
    ['a second jump', ['-A', 'OUTPUT', '-j', 'IPNC_output'], 'ip nat chain OUTPUT'],
    ['a jump to a chain of ours from elsewhere', ['-A', 'INPUT', '-j', 'IPNC_policy'], 'ip nat chain INPUT'],
  ] as const)('%s is found and repaired', (_, argv, where) => {
    capture();
    iptables('-t', 'nat', ...argv);
    expect(inspectNetns(pod.path, effects, ours).drift[0]?.where).toBe(where);
    const outcome = capture();
    expect(outcome.action).toBe('applied');
    expect(outcome.drift[0]?.where).toBe(where);
    expect(capture()).toMatchObject({ action: 'kept', drift: [] });
  });

  it('lost rules under a ready mark are drift; those of another policy are not', () => {
    capture(other);
    expect(capture()).toMatchObject({ action: 'applied', drift: [], previousPolicyHash: other.policyHash });
    iptables('-t', 'nat', '-F');
    iptables('-t', 'nat', '-X');
    iptables('-t', 'mangle', '-F');
    iptables('-t', 'raw', '-F');
    const outcome = capture();
    expect(outcome.action).toBe('applied');
    expect(outcome.drift.length).toBeGreaterThan(3);
  });

  it('a netns keeps what writes its rules, whatever is preferred now, until it is cleaned', async () => {
    capture();
    const automatic = await kernelEffects();
    const again = (ruleset: Ruleset) =>
      captureNetns({ netnsPath: pod.path, podIPs: [], ruleset, probes: [] }, automatic);
    expect(again(ours)).toMatchObject({ action: 'kept', backend });
    expect(again(other)).toMatchObject({ action: 'applied', backend });
    const refusal = { netnsPath: pod.path, podIPs: [], code: 'Test', text: 'test' };
    expect(refuseNetns(refusal, automatic)).toBe('keptReady');
    pod.run('ip', 'link', 'set', 'lo', 'alias', '');
    expect(again(other)).toMatchObject({ action: 'remarked', backend });
    expect(cleanNetns(pod.path, automatic)).toMatchObject({ tableRemoved: true, markRemoved: true });
    expect(again(ours)).toMatchObject({ action: 'applied', backend: 'nft' });
    expect(saved().filter((line) => line.includes('IPNC_'))).toEqual([]);
    // And the other way round.
    expect(capture()).toMatchObject({ action: 'kept', backend: 'nft' });
  });

  it('of two sets of rules one is kept and the other goes', async () => {
    const automatic = await kernelEffects();
    capture();
    pod.nft(`table inet ${ours.table} {\n comment "policy ${ours.policyHash}"\n}\n`);
    expect(inspectNetns(pod.path, effects, ours).drift.map(({ where }) => where)).toContain(`backend ${backend}`);
    expect(captureNetns({ netnsPath: pod.path, podIPs: [], ruleset: ours, probes: [] }, automatic)).toMatchObject({
      action: 'applied',
      backend: 'nft',
    });
    expect(saved().filter((line) => line.includes('IPNC_'))).toEqual([]);
  });

  it('is refused for a pod with a user namespace of its own, where the kernel knows no owners for it', () => {
    const request = { netnsPath: pod.path, podIPs: [], ruleset: ours, probes: [], ownUserNamespace: true };
    expect(() => captureNetns(request, effects)).toThrow(expect.objectContaining({ code: 'BackendUnsuited' }));
    expect(pod.run('nft', 'list', 'ruleset')).toBe('');
  });
});

it('looking leaves no trace: no legacy table, no nft table', async () => {
  const pod = createBareNetns();
  const effects = await kernelEffects();
  inspectNetns(pod.path, effects, ours);
  cleanNetns(pod.path, effects);
  expect(pod.run('cat', '/proc/net/ip_tables_names', '/proc/net/ip6_tables_names')).toBe('');
  expect(pod.run('nft', 'list', 'ruleset')).toBe('');
  pod.close();
});

/** Rules of somebody else in every table, with counters, names much like ours, and quotes and hyphens where they hurt. */
function strangers(pod: LabNetns, variant: string): void {
  const table = (name: string, hook: string) =>
    [
      `*${name}`,
      ':THEIRS - [0:0]',
      ':XIPNC_output - [0:0]',
      `[3:180] -A ${hook} -m comment --comment "-j IPNC_output" -j THEIRS`,
      `[0:0] -A ${hook} -p tcp -m tcp --dport 5 -m comment --comment "a \\"quoted\\" -A" -j XIPNC_output`,
      '[5:300] -A THEIRS -p udp -m multiport --dports 1,2:3 -j RETURN',
      '[0:0] -A XIPNC_output -o eth+ -j ACCEPT',
      'COMMIT',
      '',
    ].join('\n');
  const input = ['raw', 'mangle', 'nat', 'filter'].map((name) => table(name, 'OUTPUT')).join('');
  for (const family of FAMILIES) {
    const argv = ['netns', 'exec', pod.name, `${family}-${variant}-restore`, '--counters'];
    const { status, stderr } = spawnSync('ip', argv, { input, encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  }
}

/** iptables itself takes it; the kernel says EINVAL, after the nat table has been written: owners are not known to what arrives. */
function refused(): Ruleset {
  const chains = ours.chains.map((chain) => {
    if (chain.name !== 'prerouting_mangle') return chain;
    const owner = { kind: 'socketUid', id: 1, negate: false } as const;
    return {
      ...chain,
      rules: [...chain.rules, { matches: [owner], verdict: { kind: 'accept' } as const, reason: 'broken' }],
    };
  });
  // Without TPROXY, nat comes first.
  return sampleRuleset({
    chains: chains.map((chain) => ({
      ...chain,
      rules: chain.rules.filter(({ verdict }) => verdict.kind !== 'tproxy'),
    })),
  });
}
