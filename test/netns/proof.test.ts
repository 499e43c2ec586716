import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { captureNetns } from '../../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../../src/agent/netns-effects.ts';
import { inspectNetns } from '../../src/agent/tend-netns.ts';
import { NOBODY_EXEMPT, type Probe } from '../../src/ruleset/probe.ts';
import { createLab, type NetnsLab } from '../support/netns-lab.ts';
import { desiredOf } from '../support/netns-policy.ts';
import { SAMPLE_PROBES, sampleRuleset } from '../support/netns-rulesets.ts';

/** The proof must fail where rules do not work, and must not where they do. */
let effects: NetnsEffects;
let lab: NetnsLab | undefined;

beforeAll(async () => {
  effects = await kernelEffects();
});
afterEach(() => lab?.close());

const ruleset = sampleRuleset();

function capture(where: NetnsLab, probes: readonly Probe[] = SAMPLE_PROBES) {
  return captureNetns({ netnsPath: where.pod.path, podIPs: [], ruleset, probes }, effects);
}

describe('a failed proof', () => {
  const spoilers: readonly (readonly [string, string, string])[] = [
    [
      'a table that decides before ours',
      'table inet first {\n chain out {\n type nat hook output priority -150\n ip daddr 203.0.113.0/24 tcp dport 9 redirect to :4\n }\n}\n',
      'a connection to 203.0.113.1:9 did not reach port 15001 (includeOutboundIPRanges *)',
    ],
    [
      'a table that drops',
      'table inet drops {\n chain out {\n type filter hook output priority 0\n meta l4proto tcp drop\n }\n}\n',
      'a connection to 203.0.113.1:9 did not reach port 15001 (includeOutboundIPRanges *) (and 1 more)',
    ],
    [
      'a table that captures what must not be',
      'table inet first {\n chain out {\n type nat hook output priority -150\n ip6 daddr 2001:db8:77::/48 meta l4proto tcp redirect to :15001\n }\n}\n',
      'a connection to [2001:db8:77::1]:9 reached port 15001 (excludeOutboundIPRanges)',
    ],
  ];
  it.each(spoilers)('%s', (_, script, message) => {
    lab = createLab();
    lab.pod.nft(script);
    const { pod } = lab;
    expect(() => capture(createdLab(lab))).toThrow(expect.objectContaining({ code: 'ProofFailed', message }));
    expect(inspectNetns(pod.path, effects).mark).toEqual({ kind: 'refused', code: 'ProofFailed', text: message });
  });

  it('says when lo is down', () => {
    lab = createLab({ loopbackUp: false });
    expect(() => capture(createdLab(lab))).toThrow(/^lo is not up/);
  });

  it('closes the gate that an earlier policy had opened', () => {
    lab = createLab();
    const other = sampleRuleset({ sets: ruleset.sets.toReversed() });
    captureNetns({ netnsPath: lab.pod.path, podIPs: [], ruleset: other, probes: SAMPLE_PROBES }, effects);
    lab.pod.nft(
      'table inet drops {\n chain out {\n type filter hook output priority 0\n meta l4proto tcp drop\n }\n}\n',
    );
    const created = lab;
    expect(() => capture(created)).toThrow(expect.objectContaining({ code: 'ProofFailed' }));
    expect(inspectNetns(lab.pod.path, effects).mark.kind).toBe('refused');
  });
});

describe('a netns without IPv6', () => {
  const withoutRoute = ['[2001:db8::1]:9300', '[2001:db8:77::1]:9', '[2001:db8::1]:9'];

  it('without a route: IPv4 is proven, IPv6 cannot leave', () => {
    lab = createLab({ ipv6: false });
    const outcome = capture(lab);
    expect(outcome.action).toBe('applied');
    expect(outcome.unroutable.map((text) => /to (\S+)/.exec(text)?.[1])).toEqual(withoutRoute);
    expect(outcome.unroutable[0]).toMatch(/shows nothing: (ENETUNREACH|EADDRNOTAVAIL)/);
  });

  it('switched off in the netns', () => {
    lab = createLab({ ipv6: false });
    lab.pod.run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1');
    expect(capture(lab).unroutable).toHaveLength(3);
  });

  it('while every address is still tentative, loopback stands in', () => {
    lab = createLab({ ipv6: false });
    // Duplicate address detection that takes a minute.
    lab.pod.run('sysctl', '-qw', 'net.ipv6.conf.eth0.dad_transmits=60');
    lab.pod.run('ip', '-6', 'address', 'flush', 'dev', 'eth0');
    lab.pod.run('ip', 'address', 'add', '2001:db8:1::10/64', 'dev', 'eth0');
    lab.pod.run('ip', '-6', 'route', 'add', 'default', 'dev', 'eth0');
    expect(lab.pod.run('ip', '-6', 'address', 'show', 'dev', 'eth0')).toContain('tentative');
    expect(capture(lab).unroutable).toEqual([]);
  });
});

describe('an exempt interface', () => {
  const redirected = SAMPLE_PROBES.filter((probe) => 'expect' in probe && probe.expect === 'redirected');
  const exempting = (excludeInterfaces: string) => desiredOf({ annotations: { excludeInterfaces } }).ruleset;

  it('shows nothing where the probe leaves by it', () => {
    lab = createLab();
    const request = { netnsPath: lab.pod.path, podIPs: [], ruleset: exempting('eth0'), probes: redirected };
    expect(captureNetns(request, effects).unroutable).toEqual([
      expect.stringMatching(/203\.0\.113\.1:9 shows nothing: eth0 is exempt/),
      expect.stringMatching(/\[2001:db8::1\]:9 shows nothing: eth0 is exempt/),
    ]);
  });

  it('does not excuse what leaves by another', () => {
    lab = createLab();
    const request = { netnsPath: lab.pod.path, podIPs: [], ruleset: exempting('net1'), probes: redirected };
    expect(captureNetns(request, effects).unroutable).toEqual([]);
    lab.pod.nft(
      'table inet drops {\n chain out {\n type filter hook output priority 0\n meta l4proto tcp drop\n }\n}\n',
    );
    lab.pod.run('ip', 'link', 'set', 'lo', 'alias', '');
    expect(() => captureNetns(request, effects)).toThrow(expect.objectContaining({ code: 'ProofFailed' }));
  });
});

it('a SYN that is lost does not disprove the rules: all are sent again, in their order', () => {
  lab = createLab();
  // The first packet, and then none for a long time.
  lab.pod.nft(
    'table inet lossy {\n chain in {\n type filter hook input priority 0\n tcp dport 15001 numgen inc mod 100000 == 0 drop\n }\n}\n',
  );
  expect(capture(lab)).toMatchObject({ action: 'applied', unroutable: [] });
});

it('a probe that is not captured dies at the node', () => {
  lab = createLab();
  lab.outside.nft(`table inet count {
  chain in {
    type filter hook prerouting priority -300
    tcp dport { 9, 9300 } ip ttl 1 counter comment "near"
    tcp dport { 9, 9300 } ip6 hoplimit 1 counter comment "near"
    tcp dport { 9, 9300 } ip ttl != 1 counter comment "far"
    tcp dport { 9, 9300 } ip6 hoplimit != 1 counter comment "far"
  }
}
`);
  capture(lab);
  const counted = [...lab.outside.run('nft', 'list', 'ruleset').matchAll(/packets (\d+) .*comment "(\w+)"/g)];
  const sum = (what: string) =>
    counted.reduce((total, [, packets, name]) => total + (name === what ? Number(packets) : 0), 0);
  // Two untouched probes a family: an excluded port and an excluded range.
  expect(sum('near')).toBeGreaterThanOrEqual(4);
  expect(sum('far')).toBe(0);
});

describe('with the proxy already running', () => {
  it('is proven by who answers', async () => {
    lab = createLab();
    const proxy = await lab.actor({ uid: 1337, gid: 1337 });
    await proxy.listen('proxy', [15001]);
    expect(capture(lab)).toMatchObject({ action: 'applied', unroutable: [] });
  });

  it('fails if nothing is redirected', async () => {
    lab = createLab();
    const proxy = await lab.actor({ uid: 1337, gid: 1337 });
    await proxy.listen('proxy', [15001]);
    lab.pod.nft(
      'table inet drops {\n chain out {\n type filter hook output priority 0\n tcp dport 15001 drop\n }\n}\n',
    );
    const created = lab;
    expect(() => capture(created)).toThrow(/203\.0\.113\.1:9 did not reach port 15001/);
  });

  it('does not take a neighbour for the proxy', async () => {
    lab = createLab();
    const [proxy, outside] = await Promise.all([
      lab.actor({ uid: 1337, gid: 1337 }),
      lab.actor({ uid: 0, gid: 0, where: 'outside' }),
    ]);
    await proxy.listen('proxy', [15001]);
    await outside.listen('outside', [9300]);
    const near = {
      kind: 'connect',
      family: 4,
      port: 9300,
      expect: 'untouched',
      proxyPort: 15001,
      mark: 0,
      exempt: NOBODY_EXEMPT,
      reason: 'near',
    } as const;
    for (const address of ['10.1.2.3', '192.0.2.9']) {
      lab.outside.run('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
      expect(capture(lab, [{ ...near, address }]).unroutable).toEqual([]);
      lab.pod.run('ip', 'link', 'set', 'lo', 'alias', '');
    }
  });

  it('finds out that it gets what it should not', async () => {
    lab = createLab();
    const proxy = await lab.actor({ uid: 1337, gid: 1337 });
    await proxy.listen('proxy', [15001]);
    lab.pod.nft(
      'table inet first {\n chain out {\n type nat hook output priority -150\n tcp dport 9300 redirect to :15001\n }\n}\n',
    );
    expect(() => capture(createdLab(lab))).toThrow(
      /203\.0\.113\.1:9300 reached port 15001 \(excludeOutboundPorts 9300\)/,
    );
  });
});

function createdLab(created: NetnsLab | undefined): NetnsLab {
  if (created === undefined) throw new Error('no lab');
  return created;
}
