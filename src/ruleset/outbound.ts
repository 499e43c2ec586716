import type { CapturePolicy } from '../capture/policy.ts';
import { CHAINS, regularChain } from './chains.ts';
import { DNS_PORT, dnsOutput } from './dns.ts';
import { excludedInterfaces, includesLoopback, loopbackOf, passthroughOf } from './exempt.ts';
import {
  because,
  from,
  jump,
  outputInterface,
  owner,
  ownerOtherThan,
  RETURN,
  redirect,
  rule,
  TCP,
  tcpPort,
  tcpPortOtherThan,
  to,
  toOtherThan,
  udpPort,
} from './matches.ts';
import type { Chain, Match, Rule } from './ruleset.ts';
import type { Targets } from './targets.ts';

/** What the pod's processes send, in Istio's order: who is exempt, then what is excluded, then what is captured. */
export function natOutput(policy: CapturePolicy, targets: Targets): readonly Rule[] {
  const { excludeOutboundRanges, loopbackRange } = policy;
  return [
    ...excludedInterfaces(policy, 'output'),
    ...excludedPorts(policy, targets),
    ...passthroughOf(policy).map((address) =>
      rule('inbound passthrough of the proxy', [outputInterface('lo'), from(address)], RETURN),
    ),
    ...policy.proxyUids.value.flatMap((id) => proxyRules(policy, targets, { kind: 'socketUid', id })),
    ...policy.proxyGids.value.flatMap((id) => proxyRules(policy, targets, { kind: 'socketGid', id })),
    ...ownerGroups(policy),
    ...dnsOutput(policy, targets),
    ...loopbackOf(policy).map((address) => rule(because('loopback', loopbackRange), [to(address)], RETURN)),
    ...targets
      .addresses('exclude_outbound', excludeOutboundRanges.value)
      .map((range) => rule(because('excluded outbound ranges', excludeOutboundRanges), [to(range)], RETURN)),
    ...captured(policy, targets),
  ];
}

export function outboundChains(policy: CapturePolicy): readonly Chain[] {
  const { outboundPort } = policy;
  return regularChain(CHAINS.toOutbound, [
    rule(because('outbound port', outboundPort), [TCP], redirect(outboundPort.value)),
  ]);
}

/** UDP only counts where DNS is captured: nothing else of UDP is. */
function excludedPorts({ dns, excludeOutboundPorts }: CapturePolicy, targets: Targets): readonly Rule[] {
  const reason = because('excluded outbound ports', excludeOutboundPorts);
  return targets
    .ports('exclude_outbound_ports', excludeOutboundPorts.value)
    .flatMap((ports) => [
      rule(reason, [tcpPort(ports)], RETURN),
      ...(dns.value.kind === 'off' ? [] : [rule(reason, [udpPort(ports)], RETURN)]),
    ]);
}

/**
 * The proxy's own traffic, per uid and gid: a) to the pod's own address by way of lo it is inbound; b) other processes' traffic on lo is
 * nobody's business; c) everything else the proxy sends goes out. With DNS capture, a) leaves the proxy's own queries alone (else its
 * DNS server would ask itself), and b) leaves queries to the rules below.
 */
function proxyRules(
  policy: CapturePolicy,
  targets: Targets,
  { kind, id }: { readonly kind: 'socketUid' | 'socketGid'; readonly id: number },
): readonly Rule[] {
  const who = kind === 'socketUid' ? 'uid' : 'gid';
  const setting = kind === 'socketUid' ? policy.proxyUids : policy.proxyGids;
  const lo = outputInterface('lo');
  const own = policy.dns.value.kind !== 'off' && kind === 'socketUid' ? [DNS_PORT] : [];
  const self = targets.ports('proxy_ports', [...own, policy.tunnelPort.value]).flatMap((ports) =>
    loopbackOf(policy).map((address) => {
      const matches = [lo, toOtherThan(address), tcpPortOtherThan(ports), owner(kind, id)];
      return rule(because(`proxy ${who} to its own pod`, setting), matches, jump(CHAINS.toInbound));
    }),
  );
  const others: readonly Match[] = [lo, ...notDns(policy), ownerOtherThan(kind, id)];
  return [
    ...self,
    ...(includesLoopback(policy) ? [] : [rule(because(`not proxy ${who}, within the pod`, setting), others, RETURN)]),
    rule(because(`proxy ${who}`, setting), [owner(kind, id)], RETURN),
  ];
}

function notDns({ dns }: CapturePolicy): readonly Match[] {
  return dns.value.kind === 'off' ? [] : [tcpPortOtherThan({ port: DNS_PORT })];
}

/** An include list is one rule, as in Istio: whoever is in none of the groups goes free. */
function ownerGroups({ ownerGroups: included, excludeOwnerGroups }: CapturePolicy): readonly Rule[] {
  if (included.value.all) {
    const reason = because('excluded owner group', excludeOwnerGroups);
    return excludeOwnerGroups.value.map((gid) => rule(reason, [owner('socketGid', gid)], RETURN));
  }
  const none = included.value.items.map((gid) => ownerOtherThan('socketGid', gid));
  return [rule(because('in none of the owner groups', included), none, RETURN)];
}

function captured({ outboundPorts, outboundRanges }: CapturePolicy, targets: Targets): readonly Rule[] {
  const { value } = outboundRanges;
  const byPort = targets
    .ports('include_outbound_ports', outboundPorts.value)
    .map((ports) => rule(because('included outbound ports', outboundPorts), [tcpPort(ports)], jump(CHAINS.toOutbound)));
  if (value.all) {
    return [...byPort, rule(because('every outbound destination', outboundRanges), [TCP], jump(CHAINS.toOutbound))];
  }
  const byRange = targets
    .addresses('include_outbound', value.items)
    .map((range) =>
      rule(because('included outbound ranges', outboundRanges), [to(range), TCP], jump(CHAINS.toOutbound)),
    );
  return [...byPort, ...byRange];
}
