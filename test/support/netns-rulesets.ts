import { createHash } from 'node:crypto';
import { type ConnectProbe, NOBODY_EXEMPT, type Probe } from '../../src/ruleset/probe.ts';
import {
  type Chain,
  type Match,
  NO_ROUTING,
  type Rule,
  type Ruleset,
  type RuleSetDefinition,
  TABLE,
} from '../../src/ruleset/ruleset.ts';

/** A ruleset with one of everything, in the shape of Istio's: uid and gid 1337, ports 15001 and 15006, exclusions of every kind. */
export function sampleRuleset(change: Partial<Pick<Ruleset, 'sets' | 'chains'>> = {}): Ruleset {
  return sealed({ sets: change.sets ?? SETS, chains: change.chains ?? [RAW, MANGLE, PREROUTING, OUTPUT] });
}

/** Only chains that the kernel asks for the first packet of a connection: no neighbour discovery, no answer is counted. */
export function quietRuleset(): Ruleset {
  return sealed({ sets: SETS, chains: [PREROUTING, OUTPUT] });
}

/** What mode NONE comes to: a table that says which policy it is, and nothing else. */
export function emptyRuleset(): Ruleset {
  return sealed({ sets: [], chains: [] });
}

export const SAMPLE_PROBES: readonly Probe[] = [4, 6].flatMap((family): Probe[] => [
  probe(family === 4 ? 4 : 6, 'captured', 9, 'redirected', 'includeOutboundIPRanges *'),
  probe(family === 4 ? 4 : 6, 'captured', 9300, 'untouched', 'excludeOutboundPorts 9300'),
  probe(family === 4 ? 4 : 6, 'excluded', 9, 'untouched', 'excludeOutboundIPRanges'),
]);

function probe(
  family: 4 | 6,
  where: 'captured' | 'excluded',
  port: number,
  expect: ConnectProbe['expect'],
  reason: string,
): Probe {
  const captured = family === 4 ? '203.0.113.1' : '2001:db8::1';
  const excluded = family === 4 ? '192.0.2.1' : '2001:db8:77::1';
  const address = where === 'captured' ? captured : excluded;
  return { kind: 'connect', family, address, port, expect, proxyPort: 15001, mark: 0, exempt: NOBODY_EXEMPT, reason };
}

function sealed(content: Pick<Ruleset, 'sets' | 'chains'>): Ruleset {
  const policyHash = createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16);
  return { table: TABLE, policyHash, routing: NO_ROUTING, ...content };
}

const SETS: readonly RuleSetDefinition[] = [
  { name: 'excluded_inbound_ports', type: 'port', elements: [22, 15090, 15021, 15020] },
  { name: 'excluded_outbound_ports', type: 'port', elements: [9300] },
  {
    name: 'excluded_ranges_v4',
    type: 'ipv4',
    // Overlapping and adjacent on purpose, as people write them.
    elements: [
      { address: '192.0.2.0', prefix: 25 },
      { address: '192.0.2.128', prefix: 25 },
      { address: '192.0.2.77', prefix: 32 },
      { address: '10.0.0.0', prefix: 8 },
    ],
  },
  { name: 'excluded_ranges_v6', type: 'ipv6', elements: [{ address: '2001:db8:77::', prefix: 48 }] },
  { name: 'nothing', type: 'ipv4', elements: [] },
];

const tcp: Match = { kind: 'protocol', protocol: 'tcp' };
const viaLoopback: Match = { kind: 'outputInterface', name: 'lo', negate: false };
const tunnelExempt: Match = { kind: 'destinationPort', protocol: 'tcp', ports: { port: 15008 }, negate: true };

function to(family: 4 | 6, address: string, negate: boolean): Match {
  return { kind: 'destinationAddress', addresses: { family, address, prefix: family === 4 ? 32 : 128 }, negate };
}

function owner(kind: 'socketUid' | 'socketGid', negate: boolean): Match {
  return { kind, id: 1337, negate };
}

function rule(matches: readonly Match[], verdict: Rule['verdict'], reason: string): Rule {
  return { matches, verdict, reason };
}

const RAW: Chain = {
  name: 'prerouting_raw',
  base: { type: 'filter', hook: 'prerouting', priority: -300 },
  rules: [
    rule(
      [{ kind: 'sourcePort', protocol: 'udp', ports: { port: 53 }, negate: false }],
      { kind: 'zone', zone: 1 },
      'answers of name servers',
    ),
  ],
};

/** Words of TPROXY; without traffic that carries the mark they change nothing. */
const MANGLE: Chain = {
  name: 'prerouting_mangle',
  base: { type: 'filter', hook: 'prerouting', priority: -150 },
  rules: [
    rule([{ kind: 'connectionState', states: ['invalid'] }], { kind: 'drop' }, 'invalid'),
    rule([{ kind: 'connectionMark', mark: 99, negate: false }, tcp], { kind: 'restoreMark' }, 'restored'),
    rule([{ kind: 'packetMark', mark: 99, negate: true }], { kind: 'return' }, 'unmarked'),
    rule([tcp, { kind: 'connectionState', states: ['established', 'related'] }], { kind: 'saveMark' }, 'saved'),
    rule([], { kind: 'setMark', mark: 98 }, 'marked'),
    rule([to(4, '127.0.0.1', true), tcp], { kind: 'tproxy', family: 4, port: 15006, mark: 99 }, 'IPv4'),
    rule([to(6, '::1', true), tcp], { kind: 'tproxy', family: 6, port: 15006, mark: 99 }, 'IPv6'),
  ],
};

const PREROUTING: Chain = {
  name: 'prerouting',
  base: { type: 'nat', hook: 'prerouting', priority: -100 },
  rules: [
    rule(
      [{ kind: 'inputInterface', name: 'br-vm0.1', negate: false }],
      { kind: 'return' },
      'excludeInterfaces br-vm0.1',
    ),
    rule([{ ...tunnelExempt, negate: false }], { kind: 'return' }, 'tunnel port 15008'),
    rule(
      [{ kind: 'destinationPort', protocol: 'tcp', ports: { set: 'excluded_inbound_ports' }, negate: false }],
      { kind: 'return' },
      'excludeInboundPorts',
    ),
    rule([tcp], { kind: 'redirect', port: 15006 }, 'includeInboundPorts *'),
  ],
};

const OUTPUT: Chain = {
  name: 'output',
  base: { type: 'nat', hook: 'output', priority: -100 },
  rules: [
    rule(
      [{ kind: 'destinationPort', protocol: 'tcp', ports: { set: 'excluded_outbound_ports' }, negate: false }],
      { kind: 'return' },
      'excludeOutboundPorts',
    ),
    rule(
      [{ kind: 'destinationPort', protocol: 'udp', ports: { set: 'excluded_outbound_ports' }, negate: false }],
      { kind: 'return' },
      'excludeOutboundPorts',
    ),
    ...(['socketUid', 'socketGid'] as const).flatMap((kind) => [
      rule(
        [viaLoopback, to(4, '127.0.0.1', true), tunnelExempt, owner(kind, false)],
        { kind: 'redirect', port: 15006 },
        'self-call',
      ),
      rule(
        [viaLoopback, to(6, '::1', true), tunnelExempt, owner(kind, false)],
        { kind: 'redirect', port: 15006 },
        'self-call',
      ),
      rule([viaLoopback, owner(kind, true)], { kind: 'return' }, 'the application over loopback'),
      rule([owner(kind, false)], { kind: 'return' }, 'the proxy itself'),
    ]),
    rule([to(4, '127.0.0.1', false)], { kind: 'return' }, 'loopback'),
    rule([to(6, '::1', false)], { kind: 'return' }, 'loopback'),
    rule(
      [{ kind: 'destinationAddress', addresses: { family: 4, set: 'excluded_ranges_v4' }, negate: false }],
      { kind: 'return' },
      'excludeOutboundIPRanges',
    ),
    rule(
      [{ kind: 'destinationAddress', addresses: { family: 6, set: 'excluded_ranges_v6' }, negate: false }],
      { kind: 'return' },
      'excludeOutboundIPRanges',
    ),
    rule([tcp], { kind: 'redirect', port: 15001 }, 'includeOutboundIPRanges *'),
  ],
};
