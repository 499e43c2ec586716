import { describe, expect, it } from 'vitest';
import type { Packet } from './packet.ts';
import { NO_ROUTING, type Rule, type Ruleset, TABLE } from './ruleset.ts';
import { simulate } from './simulate.ts';

const app: Packet = {
  direction: 'outbound',
  family: 4,
  protocol: 'tcp',
  source: { address: '198.51.100.10', port: 40_000 },
  destination: { address: '203.0.113.5', port: 80 },
  interface: 'eth0',
  owner: { uid: 1000, gid: 1000 },
  mark: 0,
  connection: { state: 'new', mark: 0 },
};
const outside: Packet = { ...app, direction: 'inbound', owner: undefined };

type Place = 'output' | 'prerouting';

function base(hook: Place, type: 'nat' | 'filter', priority: number, ...rules: readonly Partial<Rule>[]) {
  const whole = rules.map((rule) => ({ matches: [], verdict: { kind: 'accept' } as const, reason: 'test', ...rule }));
  return { name: `${hook}${priority}`, base: { type, hook, priority }, rules: whole };
}

function rules(chains: Ruleset['chains'], sets: Ruleset['sets'] = []): Ruleset {
  return { table: TABLE, policyHash: '0123456789abcdef', sets, chains, routing: NO_ROUTING };
}

const redirect = (port: number): Partial<Rule> => ({ verdict: { kind: 'redirect', port } });
const reached = (ruleset: Ruleset, packet: Packet) => simulate(ruleset, packet).met.map(({ chain }) => chain);

describe('the way of a packet', () => {
  const everywhere = rules([
    base('prerouting', 'nat', -100, {}),
    base('output', 'nat', -100, {}),
    base('output', 'filter', -300, {}),
    base('prerouting', 'filter', -150, {}),
  ]);

  it('goes by priority, whatever the order of the chains; accepting ends only a chain', () => {
    expect(reached(everywhere, app)).toEqual(['output-300', 'output-100']);
    expect(reached(everywhere, outside)).toEqual(['prerouting-150', 'prerouting-100']);
  });

  it('comes back by lo within the pod, where nat is not asked again', () => {
    expect(reached(everywhere, { ...app, interface: 'lo' })).toEqual(['output-300', 'output-100', 'prerouting-150']);
    const redirected = rules([base('output', 'nat', -100, redirect(15_001)), base('prerouting', 'filter', -150, {})]);
    expect(reached(redirected, app)).toEqual(['output-100', 'prerouting-150']);
  });

  it('meets nat only as the first packet of its connection', () => {
    for (const state of ['established', 'invalid', 'untracked'] as const) {
      expect(reached(everywhere, { ...app, connection: { state, mark: 0 } })).toEqual(['output-300']);
    }
  });

  it('ends where it is dropped', () => {
    const dropped = simulate(
      rules([base('output', 'filter', -300, { verdict: { kind: 'drop' } }), base('output', 'nat', -100, {})]),
      app,
    );
    expect(dropped.landing).toEqual({ kind: 'dropped' });
    expect(dropped.met).toHaveLength(1);
  });

  it('returns from a chain to its caller, from a base chain to the next hook', () => {
    const inner = { name: 'inner', base: undefined, rules: [rule({ verdict: { kind: 'return' } }), rule(redirect(1))] };
    const jumping = rules([
      base('output', 'nat', -100, { verdict: { kind: 'jump', chain: 'inner' } }, redirect(2)),
      inner,
    ]);
    expect(simulate(jumping, app).landing).toEqual({ kind: 'redirected', port: 2 });
    const leaving = rules([base('output', 'nat', -100, { verdict: { kind: 'return' } }, redirect(2))]);
    expect(simulate(leaving, app).landing).toEqual({ kind: 'passed' });
  });

  it('ends even where chains jump in a circle', () => {
    const circle = { name: 'circle', base: undefined, rules: [rule({ verdict: { kind: 'jump', chain: 'circle' } })] };
    expect(
      simulate(rules([base('output', 'nat', -100, { verdict: { kind: 'jump', chain: 'circle' } }), circle]), app)
        .landing,
    ).toEqual({ kind: 'passed' });
  });
});

function rule(part: Partial<Rule>): Rule {
  return { matches: [], verdict: { kind: 'accept' }, reason: 'test', ...part };
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

describe('what rules do', () => {
  it('gives marks to packet and connection, also across lo', () => {
    const marking = rules([
      base('output', 'filter', -150, { verdict: { kind: 'setMark', mark: 9 } }),
      base(
        'prerouting',
        'filter',
        -150,
        { matches: [{ kind: 'packetMark', mark: 9, negate: false }], verdict: { kind: 'saveMark' } },
        { matches: [{ kind: 'connectionMark', mark: 9, negate: false }], verdict: { kind: 'setMark', mark: 1 } },
        { verdict: { kind: 'restoreMark' } },
      ),
    ]);
    expect(simulate(marking, { ...app, interface: 'lo' })).toMatchObject({ mark: 9, connectionMark: 9 });
    expect(simulate(marking, app)).toMatchObject({ mark: 9, connectionMark: 0 });
  });

  it('keeps the first zone', () => {
    const zones = [1, 2].map((zone): Partial<Rule> => ({ verdict: { kind: 'zone', zone } }));
    expect(simulate(rules([base('output', 'filter', -300, ...zones)]), app).zone).toBe(1);
  });

  it('hands packets to a listener, and lets them go on where there is none', () => {
    const tproxy = { kind: 'tproxy', family: 4, port: 15_006, mark: 1337 } as const;
    const chains = rules([base('prerouting', 'filter', -150, { verdict: tproxy }, { verdict: { kind: 'drop' } })]);
    expect(simulate(chains, outside)).toMatchObject({ landing: { kind: 'tproxied', port: 15_006 }, mark: 1337 });
    expect(simulate(chains, outside, { hasListener: false }).landing).toEqual({ kind: 'dropped' });
  });

  it('shows prerouting the destination that a redirect at output has given', () => {
    const to = { kind: 'destinationPort', protocol: 'tcp', ports: { port: 15_001 }, negate: false } as const;
    const chains = rules([
      base('output', 'nat', -100, redirect(15_001)),
      base('prerouting', 'filter', -150, { matches: [to] }),
    ]);
    expect(reached(chains, app)).toEqual(['output-100', 'prerouting-150']);
  });
});
