import { awaitAddresses } from './await-addresses.ts';
import { observeInvalid } from './invalid.ts';
import { type ProxyOf, withListeners } from './listeners.ts';
import { closeConnection, type Connection, observeEstablished, observeTcp, openConnection } from './observe-tcp.ts';
import { observeUdp } from './observe-udp.ts';
import type { Sighting, Trial } from './trial.ts';
import type { Listener, World } from './world.ts';

/** How rules come into the pod of a world, and how they go. `remove` also if `bring` failed half-way. */
export interface Programmer {
  bring(): void;
  remove(): void;
}

/** Sends every packet through the rules that the programmer brings, and tells where each was seen. */
export function fly(
  world: World,
  task: { readonly proxy: ProxyOf; readonly trials: readonly Trial[]; readonly programmer: Programmer },
): readonly Sighting[] {
  const { proxy, trials, programmer } = task;
  const connections = new Map<Trial, Connection>();
  world.reset();
  try {
    return withListeners(world, { proxy, trials }, (listeners) => {
      for (const trial of trials) {
        if (trial.state === 'established')
          connections.set(trial, openConnection(world, trial, takersOf(trial, listeners)));
      }
      programmer.bring();
      world.inside('pod', awaitAddresses);
      return trials.map((trial) => {
        const connection = connections.get(trial);
        connections.delete(trial);
        if (connection !== undefined) return observeEstablished(world, trial, connection);
        if (trial.state === 'invalid') return observeInvalid(world, trial);
        const observe = trial.protocol === 'tcp' ? observeTcp : observeUdp;
        return observe(world, trial, takersOf(trial, listeners));
      });
    });
  } finally {
    for (const connection of connections.values()) closeConnection(connection);
    programmer.remove();
  }
}

/** Whoever might get the packet. */
function takersOf(trial: Trial, listeners: readonly Listener[]): readonly Listener[] {
  return listeners.filter(({ family, protocol }) => family === trial.family && protocol === trial.protocol);
}
