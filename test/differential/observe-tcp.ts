import { libc } from '../../src/netns/libc.ts';
import { MSG_DONTWAIT, nextToken, POLLIN, POLLOUT, startTcp, TOKEN_BYTES } from './client.ts';
import type { Endpoint } from '../../src/netns/sockaddr.ts';
import { acceptFrom, closeNow, errorOf, nameOf, originalOf, peerOf } from './sockets.ts';
import { firstReady } from './syscalls.ts';
import { endpointText, type Seen, type Sighting, type Trial } from './trial.ts';
import { SYN, withWitness } from './witness.ts';
import type { Listener, World } from './world.ts';

/** Opens a connection, and looks who accepted it. */
export function observeTcp(world: World, trial: Trial, listeners: readonly Listener[]): Sighting {
  const client = startTcp(world, trial);
  if (typeof client === 'string') throw new Error(`cannot send: ${client}`);
  const source = nameOf(client, trial.family);
  const arrived = awaitArrival(world, { client, source }, listeners);
  try {
    if (arrived === undefined) return { seen: reachOf(world, trial), source, answered: false };
    if ('errno' in arrived) return { seen: { kind: 'refused', errno: arrived.errno }, source, answered: false };
    return { seen: landingOf(trial, arrived), source, answered: true };
  } finally {
    closeNow(client);
    if (arrived !== undefined && 'fd' in arrived) closeNow(arrived.fd);
  }
}

/** A connection from before the policy, and both its ends. */
export interface Connection {
  readonly client: number;
  readonly server: number;
}

/** Opens the connection of an `established` trial; before there are rules. */
export function openConnection(world: World, trial: Trial, listeners: readonly Listener[]): Connection {
  const client = startTcp(world, trial);
  const arrived =
    typeof client === 'string'
      ? undefined
      : awaitArrival(world, { client, source: nameOf(client, trial.family) }, listeners);
  if (typeof client === 'string' || arrived === undefined || 'errno' in arrived) {
    throw new Error(`no connection to ${endpointText(trial.to)} without rules: ${JSON.stringify(arrived ?? client)}`);
  }
  return { client, server: arrived.fd };
}

/** Sends more on a connection from before the policy. */
export function observeEstablished(world: World, trial: Trial, { client, server }: Connection): Sighting {
  const source = nameOf(client, trial.family);
  const token = nextToken();
  const sent = libc().send(client, token, MSG_DONTWAIT);
  const came = sent < 0 ? undefined : firstReady([{ fd: server, events: POLLIN }], world.silenceMs);
  const data = Buffer.alloc(TOKEN_BYTES);
  const length = came === undefined ? -1 : libc().recv(server, data, MSG_DONTWAIT);
  const errno = errorOf(client);
  closeConnection({ client, server });
  if (length === TOKEN_BYTES && data.equals(token)) return { seen: { kind: 'passed' }, source, answered: true };
  return { seen: errno === undefined ? { kind: 'dropped' } : { kind: 'refused', errno }, source, answered: false };
}

export function closeConnection({ client, server }: Connection): void {
  closeNow(client);
  closeNow(server);
}

/** No connection came about: sends the SYN once more, to see whether it is the way there or the way back that does not work. */
function reachOf(world: World, trial: Trial): Seen {
  return withWitness(world, trial.family, (sightOf) => {
    const client = startTcp(world, trial);
    if (typeof client === 'string') throw new Error(`cannot send: ${client}`);
    try {
      const sight = sightOf({ sourcePort: nameOf(client, trial.family).port, flags: SYN });
      if (sight === undefined) return { kind: 'dropped' };
      if (sight.place !== 'pod' || sight.port === trial.to.port) return { kind: 'passed' };
      return { kind: 'redirected', port: sight.port };
    } finally {
      closeNow(client);
    }
  });
}

type Arrival = { readonly fd: number; readonly listener: Listener } | { readonly errno: string };

function awaitArrival(
  { silenceMs }: World,
  { client, source }: { readonly client: number; readonly source: Endpoint },
  listeners: readonly Listener[],
): Arrival | undefined {
  const watched = listeners.map(({ fd }) => ({ fd, events: POLLIN }));
  let ready = firstReady([...watched, { fd: client, events: POLLOUT }], silenceMs);
  if (ready === client) {
    const errno = errorOf(client);
    if (errno !== undefined) return { errno };
    // Connected: the last packet of the handshake is on its way.
    ready = firstReady(watched, silenceMs);
  }
  for (; ready !== undefined; ready = firstReady(watched, silenceMs)) {
    const listener = listeners.find(({ fd }) => fd === ready);
    const fd = acceptFrom(ready);
    if (listener === undefined || fd === undefined) return undefined;
    // No rule changes where a packet comes from. What was given up as dropped may still come late.
    if (endpointText(peerOf(fd, listener.family)) === endpointText(source)) return { fd, listener };
    closeNow(fd);
  }
  return undefined;
}

function landingOf(trial: Trial, { fd, listener }: { readonly fd: number; readonly listener: Listener }): Seen {
  const near = endpointText(nameOf(fd, trial.family));
  const wanted = endpointText(trial.to);
  if (near === wanted && (listener.place !== 'pod' || listener.port === trial.to.port)) return { kind: 'passed' };
  if (near === wanted) return { kind: 'tproxied', port: listener.port };
  const original = originalOf(fd, trial.family);
  if (listener.place === 'pod' && original !== undefined && endpointText(original) === wanted) {
    return { kind: 'redirected', port: listener.port };
  }
  const meant = original === undefined ? 'nowhere' : endpointText(original);
  return { kind: 'elsewhere', where: `${listener.place} ${near}, meant for ${meant}` };
}
