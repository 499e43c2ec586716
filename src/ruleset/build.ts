import { createHash } from 'node:crypto';
import { isLoopback } from '../capture/cidr.ts';
import type { CapturePolicy } from '../capture/policy.ts';
import {
  because,
  from,
  inputInterface,
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
} from './matches.ts';
import { type AddressTarget, type Chain, type Rule, type Ruleset, TABLE } from './ruleset.ts';
import { createTargets, type Targets } from './targets.ts';

const INBOUND = 'inbound';
const TO_OUTBOUND = 'redirect_outbound';
const TO_INBOUND = 'redirect_inbound';

/** Where nftables' own DNAT stands (NF_IP_PRI_NAT_DST), as in Istio's nft rules. */
const NAT_PRIORITY = -100;
/** Envoy binds to these for inbound passthrough, so that what it sends to the application is known by its source. */
const PASSTHROUGH: readonly AddressTarget[] = [
  { family: 4, address: '127.0.0.6', prefix: 32 },
  { family: 6, address: '::6', prefix: 128 },
];
const IPV6_LOOPBACK: AddressTarget = { family: 6, address: '::1', prefix: 128 };

/** Changes when the same policy gives other rules for another reason than its content, so that running pods are brought up to date. */
const FORMAT = 1;

/**
 * The rules of a policy: what Istio writes for the same settings in REDIRECT mode, in its order, in one table for both families.
 * Pure. Mode NONE has no chains. TPROXY never comes here: resolving refuses it.
 */
export function buildRuleset(policy: CapturePolicy): Ruleset {
  if (policy.mode.value === 'NONE') return hashed([], []);
  const targets = createTargets({ ipv6: policy.ipv6.value });
  const chains = [
    natChain('prerouting', prerouting(policy, targets)),
    natChain('output', output(policy, targets)),
    { name: INBOUND, base: undefined, rules: inbound(policy, targets) },
    {
      name: TO_OUTBOUND,
      base: undefined,
      rules: [rule(because('outbound port', policy.outboundPort), [TCP], redirect(policy.outboundPort.value))],
    },
    {
      name: TO_INBOUND,
      base: undefined,
      rules: [rule(because('inbound port', policy.inboundPort), [TCP], redirect(policy.inboundPort.value))],
    },
  ];
  return hashed(targets.sets, chains);
}

function prerouting(policy: CapturePolicy, targets: Targets): readonly Rule[] {
  const { outboundRanges, rerouteInterfaces, excludeInterfaces, inboundPorts } = policy;
  const captured = outboundRanges.value;
  const ranges =
    captured.all || rerouteInterfaces.value.length === 0 ? [] : targets.addresses('include_outbound', captured.items);
  const rerouted = because('rerouted interface', rerouteInterfaces);
  const reroute = rerouteInterfaces.value.flatMap((name) => [
    ...(captured.all ? [rule(rerouted, [inputInterface(name), TCP], jump(TO_OUTBOUND))] : []),
    ...ranges.map((range) => rule(rerouted, [inputInterface(name), to(range), TCP], jump(TO_OUTBOUND))),
    rule(rerouted, [inputInterface(name)], RETURN),
  ]);
  const nothing = !inboundPorts.value.all && inboundPorts.value.items.length === 0;
  return [
    ...leaveIpv6(policy),
    ...reroute,
    ...excludeInterfaces.value.map((name) =>
      rule(because('excluded interface', excludeInterfaces), [inputInterface(name)], RETURN),
    ),
    ...(nothing ? [] : [rule('inbound traffic', [TCP], jump(INBOUND))]),
  ];
}

function inbound(policy: CapturePolicy, targets: Targets): readonly Rule[] {
  const { inboundPorts, excludeInboundPorts, tunnelPort } = policy;
  const tunnel = rule(because('tunnel port', tunnelPort), [tcpPort({ port: tunnelPort.value })], RETURN);
  if (inboundPorts.value.all) {
    return [
      tunnel,
      ...targets
        .ports('exclude_inbound_ports', excludeInboundPorts.value)
        .map((ports) => rule(because('excluded inbound ports', excludeInboundPorts), [tcpPort(ports)], RETURN)),
      rule(because('every inbound port', inboundPorts), [TCP], jump(TO_INBOUND)),
    ];
  }
  const included = targets.ports('include_inbound_ports', inboundPorts.value.items);
  return [
    tunnel,
    ...included.map((ports) =>
      rule(because('included inbound ports', inboundPorts), [tcpPort(ports)], jump(TO_INBOUND)),
    ),
  ];
}

function output(policy: CapturePolicy, targets: Targets): readonly Rule[] {
  const { excludeInterfaces, excludeOutboundPorts, excludeOutboundRanges, outboundPorts, outboundRanges } = policy;
  const captured = outboundRanges.value;
  const loopback = loopbackOf(policy);
  return [
    ...leaveIpv6(policy),
    ...excludeInterfaces.value.map((name) =>
      rule(because('excluded interface', excludeInterfaces), [outputInterface(name)], RETURN),
    ),
    ...targets
      .ports('exclude_outbound_ports', excludeOutboundPorts.value)
      .map((ports) => rule(because('excluded outbound ports', excludeOutboundPorts), [tcpPort(ports)], RETURN)),
    ...ofFamilies(policy, PASSTHROUGH).map((address) =>
      rule('inbound passthrough of the proxy', [outputInterface('lo'), from(address)], RETURN),
    ),
    ...policy.proxyUids.value.flatMap((id) => ownerRules(policy, 'socketUid', id)),
    ...policy.proxyGids.value.flatMap((id) => ownerRules(policy, 'socketGid', id)),
    ...loopback.map((address) => rule(because('loopback', policy.loopbackRange), [to(address)], RETURN)),
    ...targets
      .addresses('exclude_outbound', excludeOutboundRanges.value)
      .map((range) => rule(because('excluded outbound ranges', excludeOutboundRanges), [to(range)], RETURN)),
    ...targets
      .ports('include_outbound_ports', outboundPorts.value)
      .map((ports) => rule(because('included outbound ports', outboundPorts), [tcpPort(ports)], jump(TO_OUTBOUND))),
    ...(captured.all ? [rule(because('every outbound destination', outboundRanges), [TCP], jump(TO_OUTBOUND))] : []),
    ...(captured.all ? [] : targets.addresses('include_outbound', captured.items)).map((range) =>
      rule(because('included outbound ranges', outboundRanges), [to(range), TCP], jump(TO_OUTBOUND)),
    ),
  ];
}

/**
 * The proxy's own traffic, per uid and gid: a) to the pod's own address by way of lo it is inbound; b) other processes' traffic on lo is
 * nobody's business; c) everything else the proxy sends goes out.
 */
function ownerRules(policy: CapturePolicy, kind: 'socketUid' | 'socketGid', id: number): readonly Rule[] {
  const who = kind === 'socketUid' ? 'uid' : 'gid';
  const setting = kind === 'socketUid' ? policy.proxyUids : policy.proxyGids;
  const lo = outputInterface('lo');
  const self = loopbackOf(policy).map((address) =>
    rule(
      because(`proxy ${who} to its own pod`, setting),
      [lo, toOtherThan(address), tcpPortOtherThan(policy.tunnelPort.value), owner(kind, id)],
      jump(TO_INBOUND),
    ),
  );
  const others = includesLoopback(policy)
    ? []
    : [rule(because(`not proxy ${who}, within the pod`, setting), [lo, ownerOtherThan(kind, id)], RETURN)];
  return [...self, ...others, rule(because(`proxy ${who}`, setting), [owner(kind, id)], RETURN)];
}

/** Somebody wants loopback traffic captured: then rule b) must not let it go. As in Istio. */
function includesLoopback(policy: CapturePolicy): boolean {
  const { value } = policy.outboundRanges;
  return !value.all && value.items.some(isLoopback);
}

/** `--ipv6=istio` and a pod for which Istio itself would write no IPv6 rules. */
function leaveIpv6(policy: CapturePolicy): readonly Rule[] {
  return policy.ipv6.value ? [] : [rule('IPv6 is left to Istio', [{ kind: 'family', family: 6 }], RETURN)];
}

function loopbackOf(policy: CapturePolicy): readonly AddressTarget[] {
  return ofFamilies(policy, [policy.loopbackRange.value, IPV6_LOOPBACK]);
}

function ofFamilies(policy: CapturePolicy, addresses: readonly AddressTarget[]): readonly AddressTarget[] {
  return policy.ipv6.value ? addresses : addresses.filter(({ family }) => family === 4);
}

function natChain(hook: 'prerouting' | 'output', rules: readonly Rule[]): Chain {
  return { name: hook, base: { type: 'nat', hook, priority: NAT_PRIORITY }, rules };
}

function hashed(sets: Ruleset['sets'], chains: readonly Chain[]): Ruleset {
  const content = JSON.stringify([FORMAT, TABLE, sets, chains]);
  return { table: TABLE, policyHash: createHash('sha256').update(content).digest('hex').slice(0, 16), sets, chains };
}
