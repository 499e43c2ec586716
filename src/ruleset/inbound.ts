import type { CapturePolicy } from '../capture/policy.ts';
import { CHAINS, regularChain } from './chains.ts';
import { capturesInbound, excludedInterfaces } from './exempt.ts';
import { because, inputInterface, jump, RETURN, redirect, rule, TCP, tcpPort, to } from './matches.ts';
import type { Chain, PortTarget, Rule } from './ruleset.ts';
import type { Targets } from './targets.ts';

/** What arrives from outside the pod: redirected to the proxy in REDIRECT mode; TPROXY takes it before, see tproxy.ts. */

/** The nat prerouting chain. Rerouted interfaces come first: what their guests send counts as outbound. */
export function natPrerouting(policy: CapturePolicy, targets: Targets): readonly Rule[] {
  const redirects = policy.mode.value === 'REDIRECT' && capturesInbound(policy);
  return [
    ...reroute(policy, targets),
    ...excludedInterfaces(policy, 'prerouting'),
    ...(redirects ? [rule('inbound traffic', [TCP], jump(CHAINS.inbound))] : []),
  ];
}

/** Chains that only inbound traffic needs. */
export function inboundChains(policy: CapturePolicy, targets: Targets): readonly Chain[] {
  const redirects = policy.mode.value === 'REDIRECT' && capturesInbound(policy);
  return [
    ...(redirects ? regularChain(CHAINS.inbound, inbound(policy, targets)) : []),
    ...regularChain(CHAINS.toInbound, [
      rule(because('inbound port', policy.inboundPort), [TCP], redirect(policy.inboundPort.value)),
    ]),
  ];
}

/** Ports of the policy as targets, each for the rule that is to be made of it; exclusions only count while everything is included. */
export function inboundPortTargets(
  { inboundPorts, excludeInboundPorts }: CapturePolicy,
  targets: Targets,
): { readonly excluded: readonly PortTarget[]; readonly included: readonly PortTarget[] | 'all' } {
  const { value } = inboundPorts;
  if (value.all) {
    return { excluded: targets.ports('exclude_inbound_ports', excludeInboundPorts.value), included: 'all' };
  }
  return { excluded: [], included: targets.ports('include_inbound_ports', value.items) };
}

function inbound(policy: CapturePolicy, targets: Targets): readonly Rule[] {
  const { inboundPorts, excludeInboundPorts, tunnelPort } = policy;
  const { excluded, included } = inboundPortTargets(policy, targets);
  return [
    rule(because('tunnel port', tunnelPort), [tcpPort({ port: tunnelPort.value })], RETURN),
    ...excluded.map((ports) => rule(because('excluded inbound ports', excludeInboundPorts), [tcpPort(ports)], RETURN)),
    ...(included === 'all'
      ? [rule(because('every inbound port', inboundPorts), [TCP], jump(CHAINS.toInbound))]
      : included.map((ports) =>
          rule(because('included inbound ports', inboundPorts), [tcpPort(ports)], jump(CHAINS.toInbound)),
        )),
  ];
}

function reroute({ outboundRanges, rerouteInterfaces }: CapturePolicy, targets: Targets): readonly Rule[] {
  const captured = outboundRanges.value;
  const names = rerouteInterfaces.value;
  const ranges = captured.all || names.length === 0 ? [] : targets.addresses('include_outbound', captured.items);
  const reason = because('rerouted interface', rerouteInterfaces);
  return names.flatMap((name) => [
    ...(captured.all ? [rule(reason, [inputInterface(name), TCP], jump(CHAINS.toOutbound))] : []),
    ...ranges.map((range) => rule(reason, [inputInterface(name), to(range), TCP], jump(CHAINS.toOutbound))),
    rule(reason, [inputInterface(name)], RETURN),
  ]);
}
