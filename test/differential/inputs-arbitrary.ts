import fc from 'fast-check';
import { SELF_MARK } from '../../src/capture/tproxy.ts';
import { type Inputs, PLAIN } from './inputs.ts';

/** Valid inputs of Istio's tool at random; every value shrinks to the plainest. */

/** True this often in ten. */
export function sometimes(weight: number): fc.Arbitrary<boolean> {
  return fc.oneof({ arbitrary: fc.constant(false), weight: 10 - weight }, { arbitrary: fc.constant(true), weight });
}

/** Mostly the default, so that settings also meet each other's defaults. */
function mostly<T>(plain: T, other: fc.Arbitrary<T>, weight = 4): fc.Arbitrary<T> {
  return fc.oneof({ arbitrary: fc.constant(plain), weight: 10 - weight }, { arbitrary: other, weight });
}

const port = fc.oneof(
  fc.constantFrom(80, 443, 8080, 53, 15_008, 22, 3306, 15_020, 15_090),
  fc.integer({ min: 1_024, max: 65_535 }),
);
const ports = fc.uniqueArray(port, { minLength: 1, maxLength: 4 });
/** Of the proxy: apart from each other and from ports that something else in the pod needs. */
const proxyPort = (base: number): fc.Arbitrary<number> => fc.integer({ min: base, max: base + 900 });
const ids = fc.uniqueArray(
  fc.oneof(fc.constantFrom(1337, 2000, 1001, 7, 0), fc.integer({ min: 2, max: 4_294_967_293 })),
  {
    minLength: 1,
    maxLength: 3,
  },
);

const ranges4 = fc.oneof(
  fc.constantFrom(
    '203.0.113.0/26',
    '203.0.113.5/32',
    '192.0.2.0/25',
    '198.51.100.0/24',
    '203.0.113.128/26',
    '0.0.0.0/0',
    '192.0.0.0/8',
    '127.0.0.0/8',
    '127.0.0.1/32',
  ),
  fc
    .tuple(fc.constantFrom('192.0.2', '203.0.113'), fc.nat(255), fc.integer({ min: 23, max: 32 }))
    .map(([net, host, prefix]) => `${net}.${host}/${prefix}`),
);
const ranges6 = fc.oneof(
  fc.constantFrom(
    '2001:db8:2::/48',
    '2001:db8:2::5/128',
    '2001:db8:77::/48',
    '2001:db8:3::/64',
    '::/0',
    '2001:db8::/32',
    '::1/128',
  ),
  fc
    .tuple(fc.integer({ min: 16, max: 0xffff }), fc.nat(0xffff), fc.integer({ min: 32, max: 128 }))
    .map(([net, host, prefix]) => `2001:db8:${net.toString(16)}::${host.toString(16)}/${prefix}`),
);
const ranges = fc.uniqueArray(fc.oneof(ranges4, ranges4, ranges6), { maxLength: 5 });

export const inputsArbitrary: fc.Arbitrary<Inputs> = fc.record({
  mode: fc.constantFrom<Inputs['mode']>('REDIRECT', 'REDIRECT', 'TPROXY'),
  outboundPort: mostly(PLAIN.outboundPort, proxyPort(16_000), 2),
  inboundPort: mostly(PLAIN.inboundPort, proxyPort(17_000), 2),
  tunnelPort: mostly(PLAIN.tunnelPort, proxyPort(18_000), 2),
  uids: mostly(PLAIN.uids, ids, 3),
  gids: mostly(PLAIN.gids, ids, 3),
  inboundPorts: mostly<Inputs['inboundPorts']>('*', mostly<Inputs['inboundPorts']>([], ports, 8)),
  excludeInboundPorts: mostly(PLAIN.excludeInboundPorts, ports),
  outboundPorts: mostly(PLAIN.outboundPorts, ports, 3),
  excludeOutboundPorts: mostly(PLAIN.excludeOutboundPorts, ports),
  outboundRanges: mostly<Inputs['outboundRanges']>('*', mostly(['127.0.0.0/8'], ranges, 7), 5),
  excludeOutboundRanges: mostly(PLAIN.excludeOutboundRanges, ranges),
  excludeInterfaces: mostly(
    PLAIN.excludeInterfaces,
    fc.uniqueArray(fc.constantFrom('net1', 'net1', 'virt0', 'eth0', 'lo', 'other0'), { minLength: 1, maxLength: 2 }),
    2,
  ),
  rerouteInterfaces: mostly(
    PLAIN.rerouteInterfaces,
    fc.uniqueArray(fc.constantFrom('virt0', 'virt0', 'br-x.1', 'net1', 'eth0'), { minLength: 1, maxLength: 2 }),
    3,
  ),
  tproxyMark: mostly(PLAIN.tproxyMark, fc.integer({ min: 1, max: 0xffff_fff0 }).filter(isFreeMark), 2),
  tproxyRouteTable: mostly(PLAIN.tproxyRouteTable, fc.integer({ min: 1, max: 252 }), 2),
  dns: fc.constantFrom<Inputs['dns']>('off', 'off', 'all', 'servers'),
  nameServers: mostly(
    PLAIN.nameServers,
    fc.uniqueArray(fc.constantFrom('203.0.113.53', '192.0.2.53', '2001:db8:53::1', '127.0.0.53'), {
      minLength: 1,
      maxLength: 3,
    }),
  ),
  dropInvalid: sometimes(4),
  dualStack: sometimes(6),
  ownerGroups: mostly<Inputs['ownerGroups']>('*', ids, 2),
  excludeOwnerGroups: mostly(PLAIN.excludeOwnerGroups, ids, 2),
  loopbackRange: mostly(
    PLAIN.loopbackRange,
    fc.constantFrom('127.0.0.0/8', '127.0.0.0/30', '127.0.1.0/24', '127.0.0.0/16'),
    2,
  ),
});

/** Istio's rules have this one for what the proxy sends to its own pod; as the mark of TPROXY it is refused here. */
function isFreeMark(mark: number): boolean {
  return mark !== SELF_MARK;
}
