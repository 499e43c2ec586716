import { addressIn, holdsAddress, isLoopback } from '../capture/cidr.ts';
import type { CapturePolicy, Cidr } from '../capture/policy.ts';
import type { Probe } from './probe.ts';

/** Addresses for documentation (RFC 5737, RFC 3849): nobody's. A probe that is not captured also never gets beyond the node. */
const DOCUMENTATION: Readonly<Record<4 | 6, readonly string[]>> = {
  4: ['192.0.2.1', '198.51.100.1', '203.0.113.1'],
  6: ['2001:db8::1', '2001:db8:ffff::1'],
};
/** What is sent there never leaves the pod. */
const LOOPBACK_RANGES: readonly Cidr[] = [
  { family: 4, address: '127.0.0.0', prefix: 8 },
  { family: 6, address: '::1', prefix: 128 },
];
const LOOPBACK: Readonly<Record<4 | 6, string>> = { 4: '127.0.0.1', 6: '::1' };
/** Ports hardly anything listens on or is told apart by: unassigned or dead services. */
const PORTS = [4, 6, 8, 10, 12, 14, 16, 26, 28, 30];

/**
 * Live connects that prove a policy in both families: one that must be captured, one to an excluded port, one to an excluded range, and
 * one within the pod that must stay there. Whether a connect leaves by an excluded interface is for its sender to see: only the netns
 * knows its routes. Pure.
 */
export function planProbes(policy: CapturePolicy): readonly Probe[] {
  if (policy.mode.value === 'NONE') return [];
  const families: readonly (4 | 6)[] = policy.ipv6.value ? [4, 6] : [4];
  return families.flatMap((family) => familyProbes(policy, family));
}

function familyProbes(policy: CapturePolicy, family: 4 | 6): readonly Probe[] {
  const outboundPort = policy.outboundPort.value;
  const captured = capturedTarget(policy, family);
  const probes: readonly (Target | undefined)[] = [
    captured,
    captured && excludedPort(policy, captured.address),
    excludedRange(policy, family),
    withinPod(policy, family),
  ];
  return probes.flatMap((probe) => (probe === undefined ? [] : [{ ...probe, family, outboundPort }]));
}

type Target = Omit<Probe, 'family' | 'outboundPort'>;

/** An address and port that the policy captures: a documentation address, else one of the included ranges. */
function capturedTarget(policy: CapturePolicy, family: 4 | 6): Target | undefined {
  const included = policy.outboundRanges.value;
  const port = freePort(policy);
  const candidates = DOCUMENTATION[family].filter((address) => !isExcluded(policy, address));
  if (included.all) return redirected(candidates[0], port);
  const ranges = included.items.filter((range) => range.family === family);
  const inside =
    candidates.find((address) => ranges.some((range) => holdsAddress(range, address))) ??
    ranges.map(strangerIn).find((address) => !isExcluded(policy, address) && !isHeld(LOOPBACK_RANGES, address));
  if (inside !== undefined) return redirected(inside, port);
  // No range of this family is included: only the included ports are captured.
  const byPort = policy.outboundPorts.value.find((one) => !policy.excludeOutboundPorts.value.includes(one));
  return redirected(candidates[0], byPort);
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

function excludedRange(policy: CapturePolicy, family: 4 | 6): Target | undefined {
  const port = freePort(policy);
  const range = policy.excludeOutboundRanges.value.find((one) => one.family === family && !isLoopback(one));
  if (range === undefined || port === undefined) return undefined;
  const address = DOCUMENTATION[family].find((one) => holdsAddress(range, one)) ?? strangerIn(range);
  return { address, port, expect: 'untouched', reason: 'an outbound range is excluded' };
}

/** Loopback is left alone, except for what an included range takes of it beyond the loopback range. */
function withinPod(policy: CapturePolicy, family: 4 | 6): Target | undefined {
  const port = freePort(policy);
  const address = LOOPBACK[family];
  const included = policy.outboundRanges.value;
  const exempt = family === 6 || holdsAddress(policy.loopbackRange.value, address);
  const taken = !included.all && included.items.some((range) => holdsAddress(range, address));
  if (port === undefined || (taken && !exempt)) return undefined;
  return { address, port, expect: 'untouched', reason: 'traffic within the pod is left alone' };
}

/** A port that no setting names. */
function freePort(policy: CapturePolicy): number | undefined {
  const named = new Set([...policy.excludeOutboundPorts.value, ...policy.outboundPorts.value, policy.tunnelPort.value]);
  return PORTS.find((port) => !named.has(port));
}

function isExcluded(policy: CapturePolicy, address: string): boolean {
  return isHeld(policy.excludeOutboundRanges.value, address);
}

function isHeld(ranges: readonly Cidr[], address: string): boolean {
  return ranges.some((range) => holdsAddress(range, address));
}

/** The last address but one: the first ones and the last are gateways, broadcast, or the pod itself, whose own traffic is not captured. */
function strangerIn(range: Cidr): string {
  const size = 1n << BigInt((range.family === 4 ? 32 : 128) - range.prefix);
  return addressIn(range, size > 2n ? size - 2n : 0n);
}
