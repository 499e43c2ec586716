import { WIDTH } from '../address.ts';
import { addressIn, holdsAddress, isLoopback, isLoopbackAddress } from '../capture/cidr.ts';
import type { CapturePolicy, Cidr } from '../capture/policy.ts';
import { SELF_MARK } from '../capture/tproxy.ts';
import { DNS_CAPTURE_PORT, DNS_PORT, ZONES } from './dns.ts';
import { includesLoopback } from './exempt.ts';
import { type OutboundRanges, outboundRanges } from './outbound-ranges.ts';
import { type ConnectProbe, type ExemptOwners, NOBODY_EXEMPT, type Probe } from './probe.ts';
import { markedToLocal } from './tproxy.ts';

/** Addresses for documentation (RFC 5737, RFC 3849): nobody's. A probe that is not captured also never gets beyond the node. */
const DOCUMENTATION: Readonly<Record<4 | 6, readonly string[]>> = {
  4: ['192.0.2.1', '198.51.100.1', '203.0.113.1'],
  6: ['2001:db8::1', '2001:db8:ffff::1'],
};
const LOOPBACK: Readonly<Record<4 | 6, string>> = { 4: '127.0.0.1', 6: '::1' };
/** Addresses of every pod, by lo, that are not its loopback address: IPv6 has the one that `Routing` gives it. */
const NEIGHBOURS: Readonly<Record<4 | 6, readonly string[]>> = { 4: ['127.0.0.6', '127.128.0.6'], 6: ['::6'] };
/** Ports hardly anything listens on or is told apart by: unassigned or dead services. */
const PORTS = [4, 6, 8, 10, 12, 14, 16, 26, 28, 30];

/**
 * What proves a policy in each family: a connection that must be captured, one to an excluded port, one to an excluded range, one within
 * the pod that must stay there; with DNS capture, a query over TCP and one over UDP; with TPROXY, a connection that comes in over lo as
 * the proxy's own do, and the route of marked packets. Whether a connection leaves by an excluded interface, and as whom it is sent, is
 * for its sender to see: only the netns knows. Pure.
 *
 * Not proven live: inbound REDIRECT. Packets that a process of the netns sends to its own pod never meet nat prerouting (their connection
 * has passed nat on output), only the proxy's own uid may be redirected there, and a packet from outside cannot be made without
 * CAP_NET_RAW or a device that the pod would see. Its proof is that the rules are read back from the kernel.
 */
export function planProbes(policy: CapturePolicy): readonly Probe[] {
  if (policy.mode.value === 'NONE') return [];
  const families: readonly (4 | 6)[] = policy.ipv6.value ? [4, 6] : [4];
  return families.flatMap((family) => [
    ...outboundProbes(policy, family),
    ...dnsProbes(policy, family),
    ...tproxyProbes(policy, family),
  ]);
}

function outboundProbes(policy: CapturePolicy, family: 4 | 6): readonly Probe[] {
  const ranges = outboundRanges(policy, family);
  const captured = capturedTarget(policy, family, ranges);
  const targets: readonly (Target | undefined)[] = [
    captured,
    captured && excludedPort(policy, captured.address),
    excludedRange(policy, family, ranges),
    withinPod(policy, family, ranges),
  ];
  const common = { kind: 'connect', family, mark: 0, proxyPort: policy.outboundPort.value } as const;
  const exempt = exemptOwners(policy);
  return targets.flatMap((target) => (target === undefined ? [] : [{ ...common, ...target, exempt }]));
}

/** Excluded ports come before DNS capture; every other exclusion comes after it. */
function dnsProbes(policy: CapturePolicy, family: 4 | 6): readonly Probe[] {
  const { kind } = policy.dns.value;
  if (kind === 'off' || policy.excludeOutboundPorts.value.includes(DNS_PORT)) return [];
  const servers = policy.dns.value.kind === 'servers' ? policy.dns.value.servers : undefined;
  const address =
    servers === undefined ? DOCUMENTATION[family][0] : servers.find((one) => one.family === family)?.address;
  if (address === undefined) return [];
  const common = { family, address, port: DNS_PORT, proxyPort: DNS_CAPTURE_PORT, exempt: exemptOwners(policy) };
  return [
    { ...common, kind: 'connect', mark: 0, expect: 'redirected', reason: 'DNS over TCP is captured' },
    { ...common, kind: 'query', zone: ZONES.application, reason: 'DNS over UDP is captured' },
  ];
}

/** Packets over lo keep the route they left by, so that of marked ones is asked for by itself. */
function tproxyProbes(policy: CapturePolicy, family: 4 | 6): readonly Probe[] {
  const marked = markedToLocal(policy);
  if (marked === undefined) return [];
  const port = inboundPort(policy);
  const address = neighbour(policy, family);
  const [anywhere] = DOCUMENTATION[family];
  const route = {
    kind: 'route',
    family,
    mark: marked.mark,
    reason: 'marked packets are delivered to the pod',
  } as const;
  const connect = {
    kind: 'connect',
    family,
    mark: SELF_MARK,
    expect: 'tproxied',
    proxyPort: policy.inboundPort.value,
    exempt: NOBODY_EXEMPT,
    reason: 'inbound traffic is captured',
  } as const;
  return [
    ...(anywhere === undefined ? [] : [{ ...route, address: anywhere }]),
    ...(address === undefined || port === undefined ? [] : [{ ...connect, address, port }]),
  ];
}

/** Undefined where nothing that the pod sends to itself would be inbound: lo or all of its addresses are exempt, or it counts as outbound. */
function neighbour(policy: CapturePolicy, family: 4 | 6): string | undefined {
  if (policy.excludeInterfaces.value.includes('lo') || includesLoopback(policy)) return undefined;
  return NEIGHBOURS[family].find((one) => family === 6 || !holdsAddress(policy.loopbackRange.value, one));
}

/** As the rules have it, in nat output. */
function exemptOwners({ proxyUids, proxyGids, ownerGroups, excludeOwnerGroups }: CapturePolicy): ExemptOwners {
  const groups = ownerGroups.value;
  return {
    uids: proxyUids.value,
    gids: [...proxyGids.value, ...(groups.all ? excludeOwnerGroups.value : [])],
    unlessGids: groups.all ? undefined : groups.items,
  };
}

type Target = Pick<ConnectProbe, 'address' | 'port' | 'expect' | 'reason'>;

/** An address and port that the policy captures: a documentation address, else one of the included ranges. */
function capturedTarget(policy: CapturePolicy, family: 4 | 6, ranges: OutboundRanges): Target | undefined {
  const port = freePort(policy);
  const candidates = DOCUMENTATION[family].filter((address) => !ranges.isExcluded(address));
  const inside = candidates.find(ranges.isIncluded) ?? openAddress(ranges);
  if (inside !== undefined) return redirected(inside, port);
  if (ranges.included === undefined) return undefined;
  // No range of this family is included: only the included ports are captured.
  const byPort = policy.outboundPorts.value.find((one) => !policy.excludeOutboundPorts.value.includes(one));
  return redirected(candidates[0], byPort);
}

/** Of the included ranges: the first that is neither excluded nor within the pod. */
function openAddress({ included = [], isExcluded }: OutboundRanges): string | undefined {
  const range = included.find((one) => !isExcluded(strangerIn(one)) && !isLoopbackAddress(strangerIn(one)));
  return range && strangerIn(range);
}

function redirected(address: string | undefined, port: number | undefined): Target | undefined {
  if (address === undefined || port === undefined) return undefined;
  return { address, port, expect: 'redirected', reason: 'outbound traffic is captured' };
}

function excludedPort(policy: CapturePolicy, address: string): Target | undefined {
  const [port] = policy.excludeOutboundPorts.value;
  if (port === undefined) return undefined;
  return { address, port, expect: 'untouched', reason: `outbound port ${port} is excluded` };
}

function excludedRange(policy: CapturePolicy, family: 4 | 6, { excluded }: OutboundRanges): Target | undefined {
  const port = freePort(policy);
  const range = excluded.find((one) => !isLoopback(one));
  if (range === undefined || port === undefined) return undefined;
  const address = DOCUMENTATION[family].find((one) => holdsAddress(range, one)) ?? strangerIn(range);
  return { address, port, expect: 'untouched', reason: 'an outbound range is excluded' };
}

/** Loopback is left alone, except for what an included range takes of it beyond the loopback range. */
function withinPod(policy: CapturePolicy, family: 4 | 6, ranges: OutboundRanges): Target | undefined {
  const port = freePort(policy);
  const address = LOOPBACK[family];
  const exempt = family === 6 || holdsAddress(policy.loopbackRange.value, address);
  const taken = ranges.included !== undefined && ranges.isIncluded(address);
  if (port === undefined || (taken && !exempt)) return undefined;
  return { address, port, expect: 'untouched', reason: 'traffic within the pod is left alone' };
}

/** A port that no setting names. */
function freePort(policy: CapturePolicy): number | undefined {
  const named = new Set([...policy.excludeOutboundPorts.value, ...policy.outboundPorts.value, policy.tunnelPort.value]);
  return PORTS.find((port) => !named.has(port));
}

/** One that is captured inbound, and that nothing of the pod listens on. */
function inboundPort({ inboundPorts, excludeInboundPorts }: CapturePolicy): number | undefined {
  const included = inboundPorts.value;
  if (!included.all) return included.items.find((port) => port !== DNS_PORT);
  return PORTS.find((port) => !excludeInboundPorts.value.includes(port));
}

/** The last address but one: the first ones and the last are gateways, broadcast, or the pod itself, whose own traffic is not captured. */
function strangerIn(range: Cidr): string {
  const size = 1n << BigInt(WIDTH[range.family] - range.prefix);
  return addressIn(range, size > 2n ? size - 2n : 0n);
}
