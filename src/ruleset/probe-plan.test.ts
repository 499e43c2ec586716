import { describe, expect, it } from 'vitest';
import { isExempt, NOBODY_EXEMPT } from './probe.ts';
import { planProbes } from './probe-plan.ts';
import { type PolicyValues, samplePolicy } from '../../test/support/sample-policy.ts';

const planned = (values: Partial<PolicyValues>) => planProbes(samplePolicy(values));

/** Those of IPv4 that are of one kind or go to one port of the proxy. */
function brief(values: Partial<PolicyValues>, select: 'query' | 'route' | number): string[] {
  return planned({ ipv6: false, ...values })
    .filter((probe) => probe.kind === select || ('proxyPort' in probe && probe.proxyPort === select))
    .map((probe) => `${probe.kind} ${probe.address}${'port' in probe ? `:${probe.port}` : ''}`);
}

const server = { family: 4, address: '203.0.113.9', prefix: 32 } as const;

describe('DNS capture', () => {
  it('is shown over TCP and UDP', () => {
    expect(brief({ dns: { kind: 'all' } }, 15_053)).toEqual(['connect 192.0.2.1:53', 'query 192.0.2.1:53']);
    expect(brief({ dns: { kind: 'servers', servers: [server] } }, 15_053)).toEqual([
      'connect 203.0.113.9:53',
      'query 203.0.113.9:53',
    ]);
  });

  it('is not looked for where it does not reach', () => {
    expect(brief({ dns: { kind: 'off' } }, 15_053)).toEqual([]);
    expect(brief({ dns: { kind: 'all' }, excludeOutboundPorts: [53] }, 15_053)).toEqual([]);
    const onlyIpv6 = { kind: 'servers', servers: [{ family: 6, address: '2001:db8::53', prefix: 128 }] } as const;
    expect(brief({ dns: onlyIpv6 }, 15_053)).toEqual([]);
  });
});

describe('TPROXY', () => {
  it('is shown by a connection over lo and by the route of marked packets', () => {
    expect(brief({ mode: 'TPROXY' }, 15_006)).toEqual(['connect 127.0.0.6:4']);
    expect(brief({ mode: 'TPROXY' }, 'route')).toEqual(['route 192.0.2.1']);
    expect(brief({ mode: 'REDIRECT' }, 15_006)).toEqual([]);
    expect(brief({ mode: 'TPROXY', inboundPorts: { all: false, items: [] } }, 'route')).toEqual([]);
  });

  it.each<readonly [string, Partial<PolicyValues>, string[]]>([
    [
      'a loopback range that holds the usual address',
      { loopbackRange: { family: 4, address: '127.0.0.0', prefix: 29 } },
      ['connect 127.128.0.6:4'],
    ],
    ['a loopback range that holds them all', { loopbackRange: { family: 4, address: '127.0.0.0', prefix: 8 } }, []],
    ['lo itself excluded', { excludeInterfaces: ['lo'] }, []],
    [
      'loopback captured as outbound',
      { outboundRanges: { all: false, items: [{ family: 4, address: '127.0.0.0', prefix: 8 }] } },
      [],
    ],
    ['its port excluded', { excludeInboundPorts: [4, 6] }, ['connect 127.0.0.6:8']],
    [
      'a list of ports, one of them captured as DNS',
      { inboundPorts: { all: false, items: [53, 9080] } },
      ['connect 127.0.0.6:9080'],
    ],
  ])('with %s', (_, values, expected) => {
    expect(brief({ mode: 'TPROXY', ...values }, 15_006)).toEqual(expected);
  });
});

describe('the owner of a probe', () => {
  it('is compared with whom the rules let go', () => {
    const root = { uid: 0, gid: 0 };
    expect(isExempt(root, NOBODY_EXEMPT)).toBe(false);
    expect(isExempt(root, { uids: [0], gids: [], unlessGids: undefined })).toBe(true);
    expect(isExempt(root, { uids: [1337], gids: [0], unlessGids: undefined })).toBe(true);
    expect(isExempt(root, { uids: [], gids: [], unlessGids: [4000] })).toBe(true);
    expect(isExempt(root, { uids: [], gids: [], unlessGids: [0] })).toBe(false);
  });

  it('comes from the policy: excluded groups only count while all are included', () => {
    const exemptOf = (values: Partial<PolicyValues>) =>
      planned(values).flatMap((probe) => ('exempt' in probe ? [probe.exempt] : []))[0];
    expect(exemptOf({ excludeOwnerGroups: [7] })).toEqual({ uids: [1337], gids: [1337, 7], unlessGids: undefined });
    expect(exemptOf({ ownerGroups: { all: false, items: [8] }, excludeOwnerGroups: [7] })).toEqual({
      uids: [1337],
      gids: [1337],
      unlessGids: [8],
    });
  });
});

describe('thousands of ranges', () => {
  const many = Array.from({ length: 4_096 }, (_, index) => {
    return { family: 6, address: `2001:db9:${index.toString(16)}::`, prefix: 48 } as const;
  });

  it('are each looked at once, also where all that is included is excluded', () => {
    const startedMs = performance.now();
    const probes = planned({ outboundRanges: { all: false, items: many }, excludeOutboundRanges: many });
    expect(probes.filter(({ family }) => family === 6).map(({ reason }) => reason)).toEqual([
      'an outbound range is excluded',
      'traffic within the pod is left alone',
    ]);
    // Each against each takes half a minute; once each, a thirtieth of a second.
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });

  it('leave the one address that is included and not excluded to prove it', () => {
    const open = { family: 6, address: '2001:db9:ffff::', prefix: 48 } as const;
    const items = [...many, open];
    const [captured] = planned({ outboundRanges: { all: false, items }, excludeOutboundRanges: many }).filter(
      (probe) => probe.kind === 'connect' && probe.expect === 'redirected',
    );
    expect(captured?.address).toBe('2001:db9:ffff:ffff:ffff:ffff:ffff:fffe');
  });
});
