import { addressIn, containsCidr, parseCidr } from '../capture/cidr.ts';
import type { CapturePolicy, Cidr } from '../capture/policy.ts';
import type { Probe } from './probe.ts';

/** Addresses for documentation (RFC 5737, RFC 3849): nobody's. A probe that is not captured also never gets beyond the node. */
const DOCUMENTATION: Readonly<Record<4 | 6, readonly string[]>> = {
  4: ['192.0.2.1', '198.51.100.1', '203.0.113.1'],
  6: ['2001:db8::1', '2001:db8:ffff::1'],
};
const LOOPBACK: Readonly<Record<4 | 6, string>> = { 4: '127.0.0.1', 6: '::1' };
/** Ports hardly anything listens on or is told apart by: unassigned or dead services. */
const PORTS = [4, 6, 8, 10, 12, 14, 16, 26, 28, 30];

/**
 * Live connects that prove a policy in both families: one that must be captured, one to an excluded port, one to an excluded range, and
 * one within the pod that must stay there. A policy that captures nothing of a family has nothing to be captured. Pure.
 */
export function planProbes(policy: CapturePolicy): readonly Probe[] {
  if (policy.mode.value === 'NONE') return [];
  const families: readonly (4 | 6)[] = policy.ipv6.value ? [4, 6] : [4];
  return families.flatMap((family) => familyProbes(policy, family));
}

function familyProbes(policy: CapturePolicy, family: 4 | 6): readonly Probe[] {
  const outboundPort = policy.outboundPort.value;
  const captured = capturedTarget(policy, family);
  const own = ownPort(policy);
  const probes: (Omit<Probe, 'family' | 'outboundPort'> | undefined)[] = [
    captured && isBoundByInterface(policy)
      ? undefined
      : captured && { ...captured, expect: 'redirected', reason: 'outbound traffic is captured' },
    captured && excludedPort(policy, captured.address),
    excludedRange(policy, family),
    own === undefined
      ? undefined
      : { address: LOOPBACK[family], port: own, expect: 'untouched', reason: 'traffic within the pod is left alone' },
  ];
  return probes.flatMap((probe) => (probe === undefined ? [] : [{ ...probe, family, outboundPort }]));
}

/** An address and port that the policy captures: a documentation address, else one of the included ranges. */
function capturedTarget(
  policy: CapturePolicy,
  family: 4 | 6,
): { readonly address: string; readonly port: number } | undefined {
  const included = policy.outboundRanges.value;
  const port = freePort(policy);
  const candidates = DOCUMENTATION[family].filter((address) => !isExcluded(policy, address, family));
  if (included.all) return pair(candidates[0], port);
  const inside = included.items
    .filter((range) => range.family === family && !isLoopback(range))
    .map((range) => candidates.find((address) => holds(range, address, family)) ?? secondAddress(range))
    .find((address) => !isExcluded(policy, address, family));
  if (inside !== undefined) return pair(inside, port);
  // No range of this family is included: only the included ports are captured.
  const byPort = policy.outboundPorts.value.find((one) => !policy.excludeOutboundPorts.value.includes(one));
  return pair(candidates[0], byPort);
}

function excludedPort(policy: CapturePolicy, address: string) {
  const [port] = policy.excludeOutboundPorts.value;
  if (port === undefined) return undefined;
  return { address, port, expect: 'untouched' as const, reason: `outbound port ${port} is excluded` };
}

function excludedRange(policy: CapturePolicy, family: 4 | 6) {
  const port = freePort(policy);
  const range = policy.excludeOutboundRanges.value.find((one) => one.family === family && !isLoopback(one));
  if (range === undefined || port === undefined) return undefined;
  const address = DOCUMENTATION[family].find((one) => holds(range, one, family)) ?? secondAddress(range);
  return { address, port, expect: 'untouched' as const, reason: 'an outbound range is excluded' };
}

/** A port that no setting names. */
function freePort(policy: CapturePolicy): number | undefined {
  const named = new Set([...policy.excludeOutboundPorts.value, ...policy.outboundPorts.value, policy.tunnelPort.value]);
  return PORTS.find((port) => !named.has(port));
}

/** Loopback is left alone unless a policy includes it, or a port that is captured wherever it goes. */
function ownPort(policy: CapturePolicy): number | undefined {
  const { value } = policy.outboundRanges;
  return !value.all && value.items.some(isLoopback) ? undefined : freePort(policy);
}

function isExcluded(policy: CapturePolicy, address: string, family: 4 | 6): boolean {
  return policy.excludeOutboundRanges.value.some((range) => holds(range, address, family));
}

function holds(range: Cidr, address: string, family: 4 | 6): boolean {
  const host = parseCidr(`${address}/${family === 4 ? 32 : 128}`);
  return host.ok && containsCidr(range, host.value);
}

function isLoopback(range: Cidr): boolean {
  return range.family === 4 ? range.address.startsWith('127.') : range.address === '::1';
}

/** The first address of a range is often no host's; of a single address it is that one. */
function secondAddress(range: Cidr): string {
  return addressIn(range, range.prefix === (range.family === 4 ? 32 : 128) ? 0n : 1n);
}

function pair(address: string | undefined, port: number | undefined) {
  return address === undefined || port === undefined ? undefined : { address, port };
}
