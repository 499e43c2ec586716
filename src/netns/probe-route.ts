import { networkInterfaces } from 'node:os';
import type { RouteProbe } from '../ruleset/probe.ts';
import { errnoName } from './libc.ts';
import { errorOf, NLMSG_ERROR } from './netlink.ts';
import { NETLINK_ROUTE, withNetlink } from './netlink-socket.ts';
import { type ProbeResult, unroutable, verdict } from './probe-result.ts';
import { isLocalRoute, routeOf } from './routing-messages.ts';

/** Asks the kernel, as `ip route get ADDRESS mark MARK` does, where it would deliver such a packet: all rules and tables count. */
export function runRouteProbe(probe: RouteProbe): ProbeResult {
  const [reply] = withNetlink(NETLINK_ROUTE, (socket) => socket.ask(routeOf(probe)));
  if (reply !== undefined && isLocalRoute(reply)) return verdict(probe, 'proven', 'is delivered to the pod itself');
  if (probe.family === 6 && !hasIpv6()) return unroutable(probe, 'the netns has no IPv6');
  const refusal = reply?.type === NLMSG_ERROR ? `: ${errnoName(errorOf(reply))}` : '';
  return verdict(probe, 'failed', `is not delivered to the pod itself${refusal}`);
}

/** Where it is switched off, lo has no address of it. */
function hasIpv6(): boolean {
  return (networkInterfaces().lo ?? []).some(({ family }) => family === 'IPv6');
}
