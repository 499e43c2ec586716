import fc from 'fast-check';
import { type Inputs, PLAIN } from './inputs.ts';
import { CLIENT, type Family, INTERFACES, LINKS, isOwn, routeTo } from './places.ts';
import * as pools from './pools.ts';
import type { Trial } from './trial.ts';

/** Valid inputs and packets at random; every value shrinks to the plainest. */

/** A pod and what is sent in it. */
export interface Case {
  readonly inputs: Inputs;
  readonly proxyAway: boolean;
  readonly picks: readonly Pick[];
}

/** Numbers that choose from the pools of the case's inputs, so that inputs and packets shrink apart from each other. */
export interface Pick {
  readonly inbound: boolean;
  readonly family: Family;
  readonly udp: boolean;
  readonly state: Trial['state'];
  readonly address: number;
  readonly port: number;
  readonly owner: number;
  readonly source: number;
  readonly mark: number;
  readonly interface: number;
}

/** Cases with so many packets on average. */
export function caseArbitrary(packets: number): fc.Arbitrary<Case> {
  return fc.record({
    inputs: inputsArbitrary,
    proxyAway: sometimes(1),
    picks: fc.noBias(fc.array(pickArbitrary, { minLength: 1, maxLength: 2 * packets, size: 'max' })),
  });
}

const sometimes = (weight: number): fc.Arbitrary<boolean> =>
  fc.oneof({ arbitrary: fc.constant(false), weight: 10 - weight }, { arbitrary: fc.constant(true), weight });

/** Without fast-check's bias for small numbers, which would always choose the plainest. */
const choice = fc.noBias(fc.nat(4095));

const pickArbitrary: fc.Arbitrary<Pick> = fc.record({
  inbound: sometimes(3),
  family: fc.constantFrom<Family>(4, 4, 6),
  udp: sometimes(3),
  state: fc.oneof(
    { arbitrary: fc.constant<Trial['state']>('new'), weight: 18 },
    { arbitrary: fc.constant<Trial['state']>('established'), weight: 1 },
    { arbitrary: fc.constant<Trial['state']>('invalid'), weight: 1 },
  ),
  address: choice,
  port: choice,
  owner: choice,
  source: choice,
  mark: fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, { arbitrary: choice, weight: 1 }),
  interface: choice,
});

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

const inputsArbitrary: fc.Arbitrary<Inputs> = fc.record({
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
  outboundRanges: mostly<Inputs['outboundRanges']>('*', ranges),
  excludeOutboundRanges: mostly(PLAIN.excludeOutboundRanges, ranges),
  excludeInterfaces: mostly(
    PLAIN.excludeInterfaces,
    fc.uniqueArray(fc.constantFrom('net1', 'virt0', 'eth0', 'lo', 'other0'), { minLength: 1 }),
    2,
  ),
  rerouteInterfaces: mostly(
    PLAIN.rerouteInterfaces,
    fc.uniqueArray(fc.constantFrom('virt0', 'br-x.1', 'net1', 'eth0'), { minLength: 1 }),
    3,
  ),
  tproxyMark: mostly(PLAIN.tproxyMark, fc.integer({ min: 1, max: 0xffff_fff0 }), 2),
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

/** The packet that a pick comes to; undefined where there is no such packet. */
export function trialOf(inputs: Inputs, pick: Pick): Trial | undefined {
  return pick.inbound ? inbound(inputs, pick) : outbound(inputs, pick);
}

function outbound(inputs: Inputs, pick: Pick): Trial | undefined {
  const { family } = pick;
  const address = at(pools.outboundAddresses(inputs, family), pick.address);
  const to = { address, port: at(pick.udp ? pools.udpPorts(inputs) : pools.tcpPorts(inputs), pick.port) };
  const device = routeTo(family, address);
  if (device === undefined) return undefined;
  const mark = at(pools.marks(inputs), pick.mark);
  const marked = inputs.mode === 'TPROXY' && mark === inputs.tproxyMark;
  // With TPROXY, the mark leads every packet back into the pod: only the proxy sends such, and only to the application.
  if (marked && device !== 'lo') return undefined;
  const trial: Trial = {
    direction: 'outbound',
    family,
    protocol: pick.udp ? 'udp' : 'tcp',
    from: { address: undefined, port: 0 },
    to,
    interface: device,
    owner: at(pools.owners(inputs), pick.owner),
    mark,
    state: !pick.udp && pick.state === 'established' ? 'established' : 'new',
  };
  if (trial.state === 'established') return trial;
  return (
    (marked ? ofClient(inputs, trial, pick) : undefined) ?? ofQuery(inputs, trial, pick) ?? withSource(trial, pick)
  );
}

/**
 * The proxy hands a client's connection to the application, with the client's address; if TPROXY takes any, and the answer, which is
 * routed to eth0 at first, is not exempt from being brought back.
 */
function ofClient(
  { inboundPorts, excludeInterfaces, uids, gids }: Inputs,
  trial: Trial,
  pick: Pick,
): Trial | undefined {
  const { family, protocol, to } = trial;
  const isApplication = INTERFACES.some((name) => LINKS[name][family].pod === to.address);
  const isExempt = excludeInterfaces.includes('lo') || excludeInterfaces.includes('eth0');
  if (protocol === 'udp' || inboundPorts.length === 0 || !isApplication || isExempt) return undefined;
  const [[uid = 0], [gid = 0]] = [uids, gids];
  return { ...trial, from: { address: CLIENT[family], port: 0 }, owner: at([{ uid, gid }, ROOT], pick.owner) };
}

/** TPROXY takes capabilities: with it, the proxy runs as root, and only its gid is known to the rules. */
const ROOT = { uid: 0, gid: 0 } as const;

/** Application and proxy ask the same server from the same port: only conntrack's zones keep their queries apart. */
function ofQuery(inputs: Inputs, trial: Trial, pick: Pick): Trial | undefined {
  const { protocol, to, mark } = trial;
  if (protocol !== 'udp' || to.port !== 53 || mark !== 0 || pick.source % 2 === 0) return undefined;
  return {
    ...trial,
    from: { address: undefined, port: QUERY_PORT },
    owner: at(pools.owners(inputs).slice(0, 2), pick.owner),
  };
}

/** Below the ports that the kernel gives out. */
const QUERY_PORT = 30_053;

function withSource(trial: Trial, pick: Pick): Trial {
  if (trial.interface !== 'lo') return trial;
  return { ...trial, from: { address: at(pools.loopbackSources(trial.family), pick.source), port: 0 } };
}

function inbound(inputs: Inputs, pick: Pick): Trial | undefined {
  const { family } = pick;
  const name = at(['eth0', ...INTERFACES] as const, pick.interface);
  const invalid = !pick.udp && pick.state === 'invalid';
  const own = LINKS[name][family].pod;
  // A guest also speaks to the world, through the pod.
  const guests = pools
    .outboundAddresses(inputs, family)
    .filter((address) => !isOwn(family, address) && routeTo(family, address) === 'eth0');
  const addresses = name === 'virt0' && pick.state === 'new' ? [own, ...guests] : [own];
  const state = pick.udp ? 'new' : pick.state;
  const foreign = name === 'eth0' && !invalid ? at(pools.inboundSources(family), pick.source) : undefined;
  return {
    direction: 'inbound',
    family,
    protocol: pick.udp ? 'udp' : 'tcp',
    from: { address: foreign, port: 0 },
    to: {
      address: at(addresses, pick.address),
      port: at(pick.udp ? pools.udpPorts(inputs) : pools.tcpPorts(inputs), pick.port),
    },
    interface: name,
    owner: undefined,
    mark: 0,
    state,
  };
}

function at<T>(values: readonly T[], pick: number): T {
  const value = values[pick % values.length];
  if (value === undefined && values.length === 0) throw new Error('an empty pool');
  return value as T;
}
