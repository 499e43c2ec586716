import type { CapturePolicy } from '../capture/policy.ts';
import { SELF_MARK } from '../capture/tproxy.ts';
import { CHAINS, regularChain } from './chains.ts';
import { capturesInbound, excludedInterfaces, loopbackOf, passthroughOf } from './exempt.ts';
import { inboundPortTargets } from './inbound.ts';
import {
  ACCEPT,
  because,
  connectionMark,
  connectionState,
  DROP,
  from,
  inputInterface,
  jump,
  outputInterface,
  owner,
  packetMark,
  packetMarkOtherThan,
  RESTORE_MARK,
  RETURN,
  rule,
  SAVE_MARK,
  setMark,
  TCP,
  tcpPort,
  toOtherThan,
} from './matches.ts';
import type { Chain, Match, Routing, Rule } from './ruleset.ts';
import type { Targets } from './targets.ts';

/**
 * TPROXY: inbound packets reach the proxy with the addresses they came with, and the proxy may speak to the application with the
 * client's. Packets that belong to such a connection carry a mark, by which they are delivered locally.
 */

function isActive(policy: CapturePolicy): boolean {
  return policy.mode.value === 'TPROXY' && capturesInbound(policy);
}

/** Mangle prerouting: also for packets over lo, which nat prerouting never sees. */
export function manglePrerouting(policy: CapturePolicy): readonly Rule[] {
  const mark = policy.tproxyMark.value;
  const drop = rule(because('belongs to no connection', policy.dropInvalid), [connectionState('invalid')], DROP);
  const invalid = policy.dropInvalid.value ? [drop] : [];
  if (!isActive(policy)) return invalid;
  return [
    ...excludedInterfaces(policy, 'prerouting'),
    ...invalid,
    rule('inbound traffic', [TCP], jump(CHAINS.inbound)),
    rule(because('connection of the proxy to the application', policy.tproxyMark), [TCP, packetMark(mark)], SAVE_MARK),
  ];
}

/** Mangle output: what the proxy sends to its own pod is marked; answers of the application go back to the proxy. */
export function mangleOutput(policy: CapturePolicy): readonly Rule[] {
  if (!isActive(policy)) return [];
  const mark = policy.tproxyMark.value;
  const lo = outputInterface('lo');
  const self = (by: Match, reason: string): readonly Rule[] =>
    loopbackOf(policy).map((address) => rule(reason, [toOtherThan(address), TCP, lo, by], setMark(SELF_MARK)));
  return [
    ...excludedInterfaces(policy, 'output'),
    rule(because('proxy to the application', policy.tproxyMark), [TCP, lo, packetMark(mark)], RETURN),
    ...policy.proxyUids.value.flatMap((id) =>
      self(owner('socketUid', id), because('proxy uid to its own pod', policy.proxyUids)),
    ),
    ...policy.proxyGids.value.flatMap((id) =>
      self(owner('socketGid', id), because('proxy gid to its own pod', policy.proxyGids)),
    ),
    rule(because('answer of the application', policy.tproxyMark), [TCP, connectionMark(mark)], RESTORE_MARK),
  ];
}

export function tproxyChains(policy: CapturePolicy, targets: Targets): readonly Chain[] {
  if (!isActive(policy)) return [];
  return [
    ...regularChain(CHAINS.inbound, inbound(policy, targets)),
    ...regularChain(CHAINS.toTproxy, toTproxy(policy)),
    ...regularChain(CHAINS.divert, [
      rule(because('mark for local delivery', policy.tproxyMark), [], setMark(policy.tproxyMark.value)),
      rule('established', [], ACCEPT),
    ]),
  ];
}

/** Which marked packets are delivered locally, in the families that are captured. */
export function markedToLocal(policy: CapturePolicy): Routing['markedToLocal'] {
  if (!isActive(policy)) return undefined;
  const families = policy.ipv6.value ? ([4, 6] as const) : ([4] as const);
  return { mark: policy.tproxyMark.value, routeTable: policy.tproxyRouteTable.value, families };
}

function inbound(policy: CapturePolicy, targets: Targets): readonly Rule[] {
  const { inboundPorts, excludeInboundPorts, tproxyMark } = policy;
  const { excluded, included } = inboundPortTargets(policy, targets);
  const lo = inputInterface('lo');
  const ports = included === 'all' ? [TCP] : included.map(tcpPort);
  const reason = because(included === 'all' ? 'every inbound port' : 'included inbound ports', inboundPorts);
  return [
    rule(because('proxy to the application', tproxyMark), [TCP, packetMark(tproxyMark.value)], RETURN),
    ...passthroughOf(policy).map((address) =>
      rule('inbound passthrough of the proxy', [TCP, from(address), lo], RETURN),
    ),
    rule('within the pod, not from the proxy', [TCP, lo, packetMarkOtherThan(SELF_MARK)], RETURN),
    ...excluded.map((one) => rule(because('excluded inbound ports', excludeInboundPorts), [tcpPort(one)], RETURN)),
    ...ports.map((port) => rule(reason, [port, connectionState('established', 'related')], jump(CHAINS.divert))),
    ...ports.map((port) => rule(reason, [port], jump(CHAINS.toTproxy))),
  ];
}

/**
 * A tproxy rule without a listener on its port lets the packet go on (NFT_BREAK of nft_tproxy), past the proxy to the application, where
 * xt_TPROXY drops it: here it is dropped too, and the client tries again.
 */
function toTproxy(policy: CapturePolicy): readonly Rule[] {
  const { inboundPort, tproxyMark } = policy;
  return loopbackOf(policy).flatMap((address) => {
    const beyondLoopback = [toOtherThan(address), TCP];
    const handOver = {
      kind: 'tproxy',
      family: address.family,
      port: inboundPort.value,
      mark: tproxyMark.value,
    } as const;
    return [
      rule(because('inbound port', inboundPort), beyondLoopback, handOver),
      rule(because('nothing listens on the inbound port', inboundPort), beyondLoopback, DROP),
    ];
  });
}
