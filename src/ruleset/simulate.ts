import type { Packet } from './packet.ts';
import type { Ruleset } from './ruleset.ts';
import { Walk } from './simulate-walk.ts';
import type { Simulation, SimulationOptions } from './simulate-result.ts';

export type { MetRule, Simulation } from './simulate-result.ts';

/**
 * The way of one packet through the rules, as the kernel goes it. Pure and total.
 * - Chains of a hook in the order of their priority; conntrack stands between raw and mangle.
 * - Only the first packet of a connection is asked at nat chains; later ones go where the first one went.
 * - What stays within the pod comes back by `lo` and meets prerouting there, but not its nat chains: nf_nat has decided about the
 *   destination of this connection at output, even if that was to leave it.
 */
export function simulate(ruleset: Ruleset, packet: Packet, options: SimulationOptions = {}): Simulation {
  const walk = new Walk(ruleset, packet, options);
  const nat = isFirst(packet);
  if (packet.direction === 'inbound') {
    walk.ask({ hook: 'prerouting', interface: packet.interface, nat, comesBack: false });
    return walk.end();
  }
  // By the route of its mark, if it was sent with that.
  walk.ask({ hook: 'output', interface: walk.isMarkedForLo() ? 'lo' : packet.interface, nat, comesBack: false });
  // A redirect at output leads to loopback, and a mark given there to the route of the mark, whatever the route was before.
  if (packet.interface === 'lo' || walk.isRedirected() || walk.isMarkedForLo()) {
    walk.ask({ hook: 'prerouting', interface: 'lo', nat: false, comesBack: true });
  }
  return walk.end();
}

/** `related` beside `new`: nf_nat_inet_fn treats the first packet of either alike. */
function isFirst({ connection: { state } }: Packet): boolean {
  return state === 'new' || state === 'related';
}
