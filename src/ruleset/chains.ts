import type { CapturePolicy } from '../capture/policy.ts';
import { leaveIpv6 } from './exempt.ts';
import type { BaseChain, Chain, Rule } from './ruleset.ts';

/** Chains that others jump to. */
export const CHAINS = {
  inbound: 'inbound',
  toOutbound: 'redirect_outbound',
  toInbound: 'redirect_inbound',
  dns: 'redirect_dns',
  toTproxy: 'tproxy_inbound',
  divert: 'divert',
} as const;

/** Netfilter's own places: raw stands before conntrack, mangle after it, nat where destinations change (linux/netfilter_ipv4.h). */
const PRIORITY = { raw: -300, mangle: -150, nat: -100 } as const;

/** A chain that the kernel asks at one of its hooks; none if it would hold no rule. */
export function baseChain(
  policy: CapturePolicy,
  place: { readonly hook: 'prerouting' | 'output'; readonly at: keyof typeof PRIORITY },
  rules: readonly Rule[],
): readonly Chain[] {
  if (rules.length === 0) return [];
  const name = place.at === 'nat' ? place.hook : `${place.hook}_${place.at}`;
  const base: BaseChain = { type: typeOf(place), hook: place.hook, priority: PRIORITY[place.at] };
  return [{ name, base, rules: [...leaveIpv6(policy), ...rules] }];
}

/** A chain that is only jumped to; none if it would hold no rule. */
export function regularChain(name: string, rules: readonly Rule[]): readonly Chain[] {
  return rules.length === 0 ? [] : [{ name, base: undefined, rules }];
}

/** Only a `route` chain has packets routed anew when it changes their mark, as iptables' mangle table does on output. */
function typeOf({ hook, at }: { readonly hook: string; readonly at: keyof typeof PRIORITY }): BaseChain['type'] {
  if (at === 'nat') return 'nat';
  return at === 'mangle' && hook === 'output' ? 'route' : 'filter';
}
