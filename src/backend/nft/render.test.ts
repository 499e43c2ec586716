import { describe, expect, it } from 'vitest';
import { type Match, NO_ROUTING, type Rule, type Ruleset, type Verdict } from '../../ruleset/ruleset.ts';
import { renderClean, renderNft } from './render.ts';

const HASH = '0123456789abcdef';

function ruleset(content: Partial<Ruleset>): Ruleset {
  return {
    table: 'istio_pod_network_controller',
    policyHash: HASH,
    sets: [],
    chains: [],
    routing: NO_ROUTING,
    ...content,
  };
}

function withRule(matches: readonly Match[], verdict: Verdict = { kind: 'return' }, reason = 'test'): Ruleset {
  const rule: Rule = { matches, verdict, reason };
  return ruleset({ chains: [{ name: 'out', base: undefined, rules: [rule] }] });
}

describe('renderNft', () => {
  it('writes one transaction that replaces the table', () => {
    const script = renderNft(
      ruleset({
        sets: [
          { name: 'ports', type: 'port', elements: [22, 15090, 22] },
          {
            name: 'ranges',
            type: 'ipv4',
            elements: [
              { address: '10.0.0.0', prefix: 8 },
              { address: '10.1.0.0', prefix: 16 },
            ],
          },
          { name: 'none', type: 'ipv6', elements: [] },
        ],
        chains: [
          {
            name: 'output',
            base: { type: 'nat', hook: 'output', priority: -100 },
            rules: [
              {
                matches: [
                  { kind: 'protocol', protocol: 'tcp' },
                  { kind: 'destinationPort', protocol: 'tcp', ports: { set: 'ports' }, negate: false },
                ],
                verdict: { kind: 'return' },
                reason: 'traffic.sidecar.istio.io/excludeOutboundPorts 22',
              },
              {
                matches: [{ kind: 'protocol', protocol: 'tcp' }],
                verdict: { kind: 'jump', chain: 'redirect_out' },
                reason: 'a *',
              },
            ],
          },
          { name: 'redirect_out', base: undefined, rules: [{ matches: [], verdict: { kind: 'drop' }, reason: 'b' }] },
        ],
      }),
    );
    expect(script).toBe(
      [
        'add table inet istio_pod_network_controller',
        'delete table inet istio_pod_network_controller',
        'add table inet istio_pod_network_controller {',
        '\tcomment "policy 0123456789abcdef"',
        '}',
        'table inet istio_pod_network_controller {',
        '\tset ports {',
        '\t\ttype inet_service',
        '\t\telements = { 22, 15090 }',
        '\t}',
        '\tset ranges {',
        '\t\ttype ipv4_addr',
        '\t\tflags interval',
        '\t\telements = { 10.0.0.0/8 }',
        '\t}',
        '\tset none {',
        '\t\ttype ipv6_addr',
        '\t\tflags interval',
        '\t}',
        '\tchain output {',
        '\t\ttype nat hook output priority -100; policy accept;',
        '\t\ttcp dport @ports counter return comment "traffic.sidecar.istio.io/excludeOutboundPorts 22"',
        '\t\tmeta l4proto tcp counter jump redirect_out comment "a *"',
        '\t}',
        '\tchain redirect_out {',
        '\t\tcounter drop comment "b"',
        '\t}',
        '}',
        '',
      ].join('\n'),
    );
  });

  it('writes a table with nothing but the policy where nothing is captured', () => {
    expect(renderNft(ruleset({}), { over: 'create' })).toBe(
      'create table inet istio_pod_network_controller {\n\tcomment "policy 0123456789abcdef"\n}\n',
    );
  });

  const matches: readonly (readonly [Match, string])[] = [
    [{ kind: 'inputInterface', name: 'eth0.1', negate: false }, 'iifname "eth0.1"'],
    [{ kind: 'outputInterface', name: 'lo', negate: true }, 'oifname != "lo"'],
    [{ kind: 'protocol', protocol: 'udp' }, 'meta l4proto udp'],
    [{ kind: 'destinationPort', protocol: 'udp', ports: { port: 53 }, negate: true }, 'udp dport != 53'],
    [
      { kind: 'sourceAddress', addresses: { family: 4, address: '127.0.0.6', prefix: 32 }, negate: false },
      'ip saddr 127.0.0.6',
    ],
    [
      { kind: 'destinationAddress', addresses: { family: 6, address: '::1', prefix: 128 }, negate: true },
      'ip6 daddr != ::1',
    ],
    [{ kind: 'destinationAddress', addresses: { family: 6, set: 'ranges' }, negate: false }, 'ip6 daddr @ranges'],
    [{ kind: 'socketUid', id: 1337, negate: false }, 'meta skuid 1337'],
    [{ kind: 'socketGid', id: 4_294_967_294, negate: true }, 'meta skgid != 4294967294'],
    [{ kind: 'sourcePort', protocol: 'udp', ports: { port: 53 }, negate: false }, 'udp sport 53'],
    [{ kind: 'packetMark', mark: 1338, negate: true }, 'meta mark != 1338'],
    [{ kind: 'connectionMark', mark: 1337, negate: false }, 'ct mark 1337'],
    [{ kind: 'connectionState', states: ['invalid'] }, 'ct state invalid'],
    [{ kind: 'connectionState', states: ['related', 'established'] }, 'ct state established,related'],
  ];
  it.each(matches)('%j is %s', (match, text) => {
    expect(renderNft(withRule([match]))).toContain(`\t\t${text} counter return comment "test"\n`);
  });

  const verdicts: readonly (readonly [Verdict, string])[] = [
    [{ kind: 'redirect', port: 15001 }, 'redirect to :15001'],
    [{ kind: 'tproxy', family: 6, port: 15006, mark: 1337 }, 'tproxy ip6 to :15006 meta mark set 1337 accept'],
    [{ kind: 'setMark', mark: 1338 }, 'meta mark set 1338'],
    [{ kind: 'saveMark' }, 'ct mark set meta mark'],
    [{ kind: 'restoreMark' }, 'meta mark set ct mark'],
    [{ kind: 'zone', zone: 2 }, 'ct zone set 2'],
  ];
  it.each(verdicts)('%j is %s', (verdict, text) => {
    expect(renderNft(withRule([], verdict))).toContain(`\t\tcounter ${text} comment "test"\n`);
  });

  const port = (value: number): Match => ({
    kind: 'destinationPort',
    protocol: 'tcp',
    ports: { port: value },
    negate: false,
  });
  const nic = (name: string): Match => ({ kind: 'inputInterface', name, negate: false });
  const hostile: readonly (readonly [string, Ruleset])[] = [
    ['a quote in an interface name', withRule([nic('a" ; flush')])],
    ['a wildcard interface', withRule([nic('eth*')])],
    ['an interface name of 16', withRule([nic('a'.repeat(16))])],
    ['an empty interface name', withRule([nic('')])],
    ['a quote in a reason', withRule([], { kind: 'drop' }, 'a" drop')],
    ['a backslash in a reason', withRule([], { kind: 'drop' }, 'a\\')],
    ['a newline in a reason', withRule([], { kind: 'drop' }, 'a\nflush ruleset')],
    ['a reason beyond ASCII', withRule([], { kind: 'drop' }, 'ä')],
    ['a reason of 121', withRule([], { kind: 'drop' }, 'a'.repeat(121))],
    ['a port too high', withRule([port(65_536)])],
    ['half a port', withRule([port(1.5)])],
    ['no number', withRule([port(Number.NaN)])],
    ['a mark beyond 32 bits', withRule([], { kind: 'setMark', mark: 2 ** 32 })],
    ['no connection state', withRule([{ kind: 'connectionState', states: [] }])],
    ['uid -1', withRule([{ kind: 'socketUid', id: -1, negate: false }])],
    ['uid 2^32-1', withRule([{ kind: 'socketUid', id: 4_294_967_295, negate: false }])],
    [
      'host bits',
      withRule([{ kind: 'sourceAddress', addresses: { family: 4, address: '10.0.0.1', prefix: 8 }, negate: false }]),
    ],
    [
      'a name for an address',
      withRule([{ kind: 'sourceAddress', addresses: { family: 4, address: 'localhost', prefix: 32 }, negate: false }]),
    ],
    ['a chain with a space', withRule([], { kind: 'jump', chain: 'a b' })],
    ['a table with a space', ruleset({ table: 'a b' })],
    ['a hash that is none', ruleset({ policyHash: 'x' })],
  ];
  it.each(hostile)('refuses %s', (_, rules) => {
    expect(() => renderNft(rules)).toThrow(expect.objectContaining({ code: 'Internal' }));
  });
});

it('renderClean removes the table, whether or not it is there', () => {
  expect(renderClean()).toBe(
    'add table inet istio_pod_network_controller\ndelete table inet istio_pod_network_controller\n',
  );
});
