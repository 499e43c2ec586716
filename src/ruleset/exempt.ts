import { isLoopback } from '../capture/cidr.ts';
import type { CapturePolicy } from '../capture/policy.ts';
import { because, inputInterface, outputInterface, RETURN, rule } from './matches.ts';
import type { AddressTarget, Rule } from './ruleset.ts';

/** What is exempt from capture, and the ranges that say so. */

/** Envoy binds to these for inbound passthrough, so that what it sends to the application is known by its source. */
const PASSTHROUGH: readonly AddressTarget[] = [
  { family: 4, address: '127.0.0.6', prefix: 32 },
  { family: 6, address: '::6', prefix: 128 },
];
const IPV6_LOOPBACK: AddressTarget = { family: 6, address: '::1', prefix: 128 };

/** Sources of what the proxy hands to the application, in the families of the policy. */
export function passthroughOf(policy: CapturePolicy): readonly AddressTarget[] {
  return ofFamilies(policy, PASSTHROUGH);
}

/** What counts as loopback: the IPv4 range of the policy, and `::1`. */
export function loopbackOf(policy: CapturePolicy): readonly AddressTarget[] {
  return ofFamilies(policy, [policy.loopbackRange.value, IPV6_LOOPBACK]);
}

/** Somebody wants loopback traffic captured: then it must not be let go before the ranges are asked. As in Istio. */
export function includesLoopback(policy: CapturePolicy): boolean {
  const { value } = policy.outboundRanges;
  return !value.all && value.items.some(isLoopback);
}

/** `--ipv6=istio` and a pod for which Istio itself would write no IPv6 rules: first in every base chain. */
export function leaveIpv6(policy: CapturePolicy): readonly Rule[] {
  return policy.ipv6.value ? [] : [rule('IPv6 is left to Istio', [{ kind: 'family', family: 6 }], RETURN)];
}

/** What arrives or leaves by an excluded interface is let go before anything else is asked. */
export function excludedInterfaces(policy: CapturePolicy, hook: 'prerouting' | 'output'): readonly Rule[] {
  const by = hook === 'prerouting' ? inputInterface : outputInterface;
  const reason = because('excluded interface', policy.excludeInterfaces);
  return policy.excludeInterfaces.value.map((name) => rule(reason, [by(name)], RETURN));
}

/** With an empty list nothing inbound is captured. */
export function capturesInbound({ inboundPorts: { value } }: CapturePolicy): boolean {
  return value.all || value.items.length > 0;
}

function ofFamilies(policy: CapturePolicy, addresses: readonly AddressTarget[]): readonly AddressTarget[] {
  return policy.ipv6.value ? addresses : addresses.filter(({ family }) => family === 4);
}
