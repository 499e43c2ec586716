import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Packet } from './packet.ts';
import { NO_ROUTING, type Routing, type Rule, type Ruleset } from './ruleset.ts';
import { app, base, outside, type Place, rule, rules } from './sample-packets.ts';
import { simulate } from './simulate.ts';

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

describe('before conntrack', () => {
  it('no packet has a connection, unless it comes back by lo', () => {
    const states = (state: 'new' | 'invalid') => ({ matches: [{ kind: 'connectionState', states: [state] } as const] });
    const raw = (hook: Place) => base(hook, 'filter', -300, states('invalid'), states('new'));
    const met = simulate(rules([raw('output'), raw('prerouting')]), { ...app, interface: 'lo' }).met;
    expect(met.map(({ chain, index }) => [chain, index])).toEqual([
      ['output-300', 0],
      ['prerouting-300', 1],
    ]);
  });
});

describe('rules that did not hold', () => {
  const to = (port: number) => ({ kind: 'destinationPort', protocol: 'tcp', ports: { port }, negate: false }) as const;
  const chains = rules([base('output', 'nat', -100, { matches: [to(80), to(81)] }, redirect(15_001), redirect(2))]);

  it('are told on request, with the first match that failed; rules never asked are not', () => {
    expect(simulate(chains, app, { verbose: true }).passed).toMatchObject([{ index: 0, failed: to(81) }]);
    expect(simulate(chains, app).passed).toEqual([]);
  });
});

describe('any ruleset and any packet', () => {
  it('come to an end, the same each time', () => {
    fc.assert(
      fc.property(anyRuleset, anyPacket, fc.boolean(), (ruleset, packet, hasListener) => {
        const once = simulate(ruleset, packet, { hasListener });
        expect(simulate(ruleset, packet, { hasListener, verbose: true })).toEqual({
          ...once,
          passed: expect.anything(),
        });
        expect(['passed', 'redirected', 'tproxied', 'dropped']).toContain(once.landing.kind);
      }),
    );
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

  it('gives no new zone to what comes back by lo: its connection has one', () => {
    const zoning = { verdict: { kind: 'zone', zone: 1 } } as const;
    const chains = rules([base('prerouting', 'filter', -300, zoning)]);
    expect(simulate(chains, outside).zone).toBe(1);
    expect(simulate(chains, { ...app, interface: 'lo' }).zone).toBe(0);
  });

  it('delivers what got the mark of a local route by lo, and keeps it out of the network', () => {
    const markedToLocal = { mark: 1337, routeTable: 133, families: [4] } as const;
    const chains = [
      base('output', 'route', -150, { verdict: { kind: 'restoreMark' } }),
      base('prerouting', 'filter', -150, {}),
    ];
    const answer: Packet = { ...app, connection: { state: 'established', mark: 1337 } };
    const routed = { ...rules(chains), routing: { ...NO_ROUTING, markedToLocal } satisfies Routing };
    expect(reached(routed, answer)).toEqual(['output-150', 'prerouting-150']);
    expect(reached(rules(chains), answer)).toEqual(['output-150']);
    expect(reached(routed, { ...answer, family: 6 })).toEqual(['output-150']);
  });

  it('hands packets to a listener, and lets them go on where there is none', () => {
    const tproxy = { kind: 'tproxy', family: 4, port: 15_006, mark: 1337 } as const;
    const chains = rules([base('prerouting', 'filter', -150, { verdict: tproxy }, { verdict: { kind: 'drop' } })]);
    expect(simulate(chains, outside)).toMatchObject({ landing: { kind: 'tproxied', port: 15_006 }, mark: 1337 });
    expect(simulate(chains, outside, { hasListener: false }).landing).toEqual({ kind: 'dropped' });
  });

  it('takes a packet that a redirect has changed, before or after, to the port of tproxy', () => {
    const tproxy = { kind: 'tproxy', family: 4, port: 15_006, mark: 1337 } as const;
    const hand = base('prerouting', 'filter', -150, { verdict: tproxy });
    const landed = { kind: 'redirected', port: 15_006 };
    expect(simulate(rules([hand, base('output', 'nat', -100, redirect(15_001))]), app).landing).toEqual(landed);
    expect(simulate(rules([hand, base('prerouting', 'nat', -100, redirect(15_001))]), outside).landing).toEqual(landed);
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

const negate = fc.boolean();
const anyPort = fc.integer({ min: 0, max: 3 });
const id = fc.constantFrom(0, 1000, 1337);
const mark = fc.constantFrom(0, 1337);
const family = fc.constantFrom(4 as const, 6 as const);
const protocol = fc.constantFrom('tcp' as const, 'udp' as const);
const states = fc.constantFrom('new', 'established', 'related', 'invalid', 'untracked');
const ofFamily = (chosen: 4 | 6) => (chosen === 4 ? '203.0.113.1' : '2001:db8::1');
const ports = fc.oneof(
  anyPort.map((one) => ({ port: one })),
  fc.constantFrom({ set: 'ports' }, { set: 'nothing' }),
);
const addresses = fc.oneof(
  family.map((chosen) => ({ family: chosen, address: ofFamily(chosen), prefix: 24 })),
  family.map((chosen) => ({ family: chosen, set: `ranges${chosen}` })),
);

const anyMatch: fc.Arbitrary<Rule['matches'][number]> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('inputInterface', 'outputInterface'),
    name: fc.constantFrom('lo', 'eth0'),
    negate,
  }),
  fc.record({ kind: fc.constant('protocol' as const), protocol }),
  fc.record({ kind: fc.constant('family' as const), family }),
  fc.record({ kind: fc.constantFrom('destinationPort', 'sourcePort'), protocol, ports, negate }),
  fc.record({ kind: fc.constantFrom('sourceAddress', 'destinationAddress'), addresses, negate }),
  fc.record({ kind: fc.constantFrom('socketUid', 'socketGid'), id, negate }),
  fc.record({ kind: fc.constantFrom('packetMark', 'connectionMark'), mark, negate }),
  fc.record({
    kind: fc.constant('connectionState' as const),
    states: fc.array(states, { minLength: 1, maxLength: 2 }),
  }),
);

const anyVerdict: fc.Arbitrary<Rule['verdict']> = fc.oneof(
  fc.record({ kind: fc.constantFrom('return', 'accept', 'drop', 'saveMark', 'restoreMark') }),
  fc.record({ kind: fc.constant('jump' as const), chain: fc.constantFrom('inner', 'circle', 'nowhere') }),
  fc.record({ kind: fc.constant('redirect' as const), port: anyPort }),
  fc.record({ kind: fc.constant('tproxy' as const), family, port: anyPort, mark }),
  fc.record({ kind: fc.constant('setMark' as const), mark }),
  fc.record({ kind: fc.constant('zone' as const), zone: fc.constantFrom(1, 2) }),
);

const anyRule = fc.record({
  matches: fc.array(anyMatch, { maxLength: 2 }),
  verdict: anyVerdict,
  reason: fc.constant('any'),
});
const anyRules = fc.array(anyRule, { maxLength: 4 });

const anyRuleset: fc.Arbitrary<Ruleset> = fc.tuple(anyRules, anyRules, anyRules, anyRules, anyRules).map(
  ([raw, nat, mangle, inner, circle]): Ruleset => ({
    ...rules(
      [
        base('output', 'filter', -300, ...raw),
        base('output', 'nat', -100, ...nat),
        base('output', 'route', -150, ...mangle),
        base('prerouting', 'filter', -150, ...mangle),
        base('prerouting', 'nat', -100, ...nat),
        { name: 'inner', base: undefined, rules: inner },
        { name: 'circle', base: undefined, rules: [...circle, rule({ verdict: { kind: 'jump', chain: 'circle' } })] },
      ],
      [
        { name: 'ports', type: 'port', elements: [1, 2] },
        { name: 'ranges4', type: 'ipv4', elements: [{ address: '203.0.113.0', prefix: 24 }] },
        { name: 'ranges6', type: 'ipv6', elements: [{ address: '2001:db8::', prefix: 32 }] },
      ],
    ),
    routing: { ...NO_ROUTING, markedToLocal: { mark: 1337, routeTable: 133, families: [4, 6] } },
  }),
);

const anyPacket: fc.Arbitrary<Packet> = family.chain((chosen) => {
  const end = fc.record({ address: fc.constant(ofFamily(chosen)), port: anyPort });
  return fc.record({
    direction: fc.constantFrom('inbound' as const, 'outbound' as const),
    family: fc.constant(chosen),
    protocol,
    source: end,
    destination: end,
    interface: fc.constantFrom('lo', 'eth0'),
    owner: fc.option(fc.record({ uid: id, gid: id }), { nil: undefined }),
    mark,
    connection: fc.record({ state: states, mark }),
  });
});
