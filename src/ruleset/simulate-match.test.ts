import { describe, expect, it } from 'vitest';
import type { Packet } from './packet.ts';
import type { Rule, Ruleset } from './ruleset.ts';
import { app, base, outside, rules } from './sample-packets.ts';
import { simulate } from './simulate.ts';

function port(kind: 'sourcePort' | 'destinationPort', number: number) {
  return { kind, protocol: 'tcp', ports: { port: number } } as const;
}

function range(kind: 'sourceAddress' | 'destinationAddress', address: string) {
  return { kind, addresses: { family: 4, address, prefix: 24 } } as const;
}

describe('matches', () => {
  const sets: Ruleset['sets'] = [
    { name: 'ports', type: 'port', elements: [80, 443] },
    { name: 'ranges', type: 'ipv4', elements: [{ address: '203.0.113.0', prefix: 29 }] },
  ];
  const met = (match: Rule['matches'][number], packet: Packet = app) => {
    const hook = packet.direction === 'outbound' ? 'output' : 'prerouting';
    return simulate(rules([base(hook, 'filter', -150, { matches: [match] })], sets), packet).met.length === 1;
  };

  it('are true of what they name', () => {
    expect(met({ kind: 'outputInterface', name: 'eth0', negate: false })).toBe(true);
    expect(met({ kind: 'inputInterface', name: 'eth0', negate: false }, outside)).toBe(true);
    expect(met({ kind: 'family', family: 4 })).toBe(true);
    expect(met({ kind: 'protocol', protocol: 'udp' })).toBe(false);
    expect(met({ kind: 'destinationPort', protocol: 'tcp', ports: { set: 'ports' }, negate: false })).toBe(true);
    expect(met({ kind: 'destinationAddress', addresses: { family: 4, set: 'ranges' }, negate: false })).toBe(true);
    const beyond = { ...app, destination: { address: '203.0.113.8', port: 80 } };
    expect(met({ kind: 'destinationAddress', addresses: { family: 4, set: 'ranges' }, negate: false }, beyond)).toBe(
      false,
    );
    expect(met({ kind: 'socketUid', id: 1000, negate: false })).toBe(true);
    expect(met({ kind: 'packetMark', mark: 7, negate: true })).toBe(true);
    expect(met({ kind: 'connectionState', states: ['invalid', 'new'] })).toBe(true);
  });

  it.each([
    ['inputInterface', { kind: 'inputInterface', name: 'eth0' }, { kind: 'inputInterface', name: 'lo' }],
    ['sourcePort', port('sourcePort', 40_000), port('sourcePort', 40_001)],
    ['destinationPort', port('destinationPort', 80), port('destinationPort', 81)],
    ['sourceAddress', range('sourceAddress', '198.51.100.0'), range('sourceAddress', '198.51.101.0')],
    ['destinationAddress', range('destinationAddress', '203.0.113.0'), range('destinationAddress', '192.0.2.0')],
    ['packetMark', { kind: 'packetMark', mark: 5 }, { kind: 'packetMark', mark: 6 }],
    ['connectionMark', { kind: 'connectionMark', mark: 3 }, { kind: 'connectionMark', mark: 4 }],
  ] as const)('%s turns around when negated', (_, right, wrong) => {
    const packet: Packet = { ...outside, mark: 5, connection: { state: 'new', mark: 3 } };
    expect([met({ ...right, negate: false }, packet), met({ ...right, negate: true }, packet)]).toEqual([true, false]);
    expect([met({ ...wrong, negate: false }, packet), met({ ...wrong, negate: true }, packet)]).toEqual([false, true]);
  });

  it.each(['socketUid', 'socketGid', 'outputInterface'] as const)('%s turns around when negated', (kind) => {
    const [right, wrong] =
      kind === 'outputInterface'
        ? [
            { kind, name: 'eth0' },
            { kind, name: 'lo' },
          ]
        : [
            { kind, id: 1000 },
            { kind, id: 1001 },
          ];
    expect([met({ ...right, negate: false }), met({ ...right, negate: true })]).toEqual([true, false]);
    expect([met({ ...wrong, negate: false }), met({ ...wrong, negate: true })]).toEqual([false, true]);
  });

  it('of another protocol, another family or nobody do not hold, negated or not', () => {
    for (const negate of [true, false]) {
      expect(met({ kind: 'destinationPort', protocol: 'udp', ports: { port: 80 }, negate })).toBe(false);
      const addresses = { family: 6, address: '::1', prefix: 128 } as const;
      expect(met({ kind: 'destinationAddress', addresses, negate })).toBe(false);
      expect(met({ kind: 'socketGid', id: 1000, negate }, outside)).toBe(false);
      const invalid = { ...app, connection: { state: 'invalid', mark: 0 } } as const;
      expect(met({ kind: 'connectionMark', mark: 0, negate }, invalid)).toBe(false);
    }
  });
});
