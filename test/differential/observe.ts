import { libc } from '../../src/netns/libc.ts';
import { type Endpoint, readSockaddr, sockaddr, SOCKADDR_BYTES } from '../../src/netns/sockaddr.ts';
import { APP } from './listeners.ts';
import { type Family, isOwn } from './places.ts';
import {
  acceptFrom,
  bindTo,
  closeNow,
  connectTo,
  errorOf,
  nameOf,
  openSocket,
  originalOf,
  setMark,
  setOption,
  TCP,
  UDP,
} from './sockets.ts';
import { asOwner, firstReady, must, receiveFrom, sendTo } from './syscalls.ts';
import { endpointText, type Seen, type Sighting, type Trial } from './trial.ts';
import { SYN, withWitness } from './witness.ts';
import type { Listener, Place, World } from './world.ts';

/** Sends one packet and looks where it comes out. All sockets are of this process, so nobody else's traffic is in the way. */

const [POLLIN, POLLOUT, MSG_DONTWAIT] = [1, 4, 0x40] as const;
/** What arrives does so within the system call that sends it, for veth and lo hand packets over directly. Only silence costs this. */
const SILENCE_MS = 40;
const TOKEN_BYTES = 8;

/** Sends the first packet of a new connection or flow. */
export function observe(world: World, trial: Trial, listeners: readonly Listener[]): Sighting {
  const own = listeners.filter(({ family, protocol }) => family === trial.family && protocol === trial.protocol);
  return trial.protocol === 'tcp' ? observeTcp(world, trial, own) : observeUdp(world, trial, own);
}

/** A connection from before the policy, and both its ends. */
export interface Connection {
  readonly client: number;
  readonly server: number;
}

/** Opens the connection of an `established` trial; before there are rules. */
export function openConnection(world: World, trial: Trial, listeners: readonly Listener[]): Connection {
  const own = listeners.filter(({ family, protocol }) => family === trial.family && protocol === 'tcp');
  const client = startTcp(world, trial);
  const arrived = typeof client === 'string' ? undefined : awaitArrival(client, own);
  if (typeof client === 'string' || arrived === undefined || 'errno' in arrived) {
    throw new Error(`no connection to ${endpointText(trial.to)} without rules: ${JSON.stringify(arrived ?? client)}`);
  }
  return { client, server: arrived.fd };
}

/** Sends more on a connection from before the policy. */
export function observeEstablished(trial: Trial, { client, server }: Connection): Sighting {
  const source = nameOf(client, trial.family);
  const token = nextToken();
  const sent = libc().send(client, token, MSG_DONTWAIT);
  const came = sent < 0 ? undefined : firstReady([{ fd: server, events: POLLIN }], SILENCE_MS);
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

function observeTcp(world: World, trial: Trial, listeners: readonly Listener[]): Sighting {
  const client = startTcp(world, trial);
  if (typeof client === 'string') throw new Error(`cannot send: ${client}`);
  const source = nameOf(client, trial.family);
  const arrived = awaitArrival(client, listeners);
  try {
    if (arrived === undefined) return { seen: reachOf(world, trial), source, answered: false };
    if ('errno' in arrived) return { seen: { kind: 'refused', errno: arrived.errno }, source, answered: false };
    return { seen: landingOf(trial, arrived), source, answered: true };
  } finally {
    closeNow(client);
    if (arrived !== undefined && 'fd' in arrived) closeNow(arrived.fd);
  }
}

/** The descriptor of a socket that connects, or the name of the error. */
function startTcp(world: World, trial: Trial): number | string {
  return world.inside(placeOf(trial), () => {
    const fd = clientSocket(trial, TCP);
    const errno = connectTo(fd, trial.family, trial.to);
    if (errno === undefined) return fd;
    closeNow(fd);
    return errno;
  });
}

function placeOf({ direction, interface: name }: Trial): Place {
  if (direction === 'outbound') return 'pod';
  return name === 'virt0' ? 'guest' : 'outside';
}

function clientSocket(trial: Trial, type: typeof TCP | typeof UDP): number {
  const { family, from, mark } = trial;
  const fd = asOwner(trial.owner ?? { uid: 0, gid: 0 }, () => openSocket(family, type));
  if (mark !== 0) setMark(fd, mark);
  if (from.address === undefined && from.port === 0) return fd;
  const any = family === 4 ? '0.0.0.0' : '::';
  setOption(fd, family, 'reuseAddress');
  // The address may be one that the netns lacks: the proxy speaks with its client's, a client of the outside with any.
  if (from.address !== undefined) setOption(fd, family, 'transparent');
  bindTo(fd, family, { address: from.address ?? any, port: from.port });
  return fd;
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

function awaitArrival(client: number, listeners: readonly Listener[]): Arrival | undefined {
  const watched = listeners.map(({ fd }) => ({ fd, events: POLLIN }));
  let ready = firstReady([...watched, { fd: client, events: POLLOUT }], SILENCE_MS);
  if (ready === client) {
    const errno = errorOf(client);
    if (errno !== undefined) return { errno };
    // Connected: the last packet of the handshake is on its way.
    ready = firstReady(watched, SILENCE_MS);
  }
  const listener = listeners.find(({ fd }) => fd === ready);
  const fd = listener === undefined ? undefined : acceptFrom(listener.fd);
  return listener === undefined || fd === undefined ? undefined : { fd, listener };
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

function observeUdp(world: World, trial: Trial, listeners: readonly Listener[]): Sighting {
  const { family, to } = trial;
  const token = nextToken();
  const client = world.inside(placeOf(trial), () => {
    const fd = clientSocket(trial, UDP);
    // Connected: then an answer from another address than `to` is none.
    must(libc().connect(fd, sockaddr(family, to)), `connect to ${endpointText(to)}`);
    must(libc().send(fd, token, MSG_DONTWAIT), `send to ${endpointText(to)}`);
    return fd;
  });
  try {
    const source = nameOf(client, family);
    const received = receiveToken(listeners, token, family);
    if (received === undefined) return { seen: unseen(client), source, answered: false };
    const { listener, from } = received;
    const redirected = listener.place === 'pod' && !(isOwn(family, to.address) && listener.port === to.port);
    answer(world, trial, { listener, token, client: from, redirected });
    const seen: Seen = redirected ? { kind: 'redirected', port: listener.port } : { kind: 'passed' };
    return { seen, source, answered: isAnswered(client, token) };
  } finally {
    libc().close(client);
  }
}

/** Passes over what is still on its way from earlier packets. */
function receiveToken(
  listeners: readonly Listener[],
  token: Buffer,
  family: Family,
): { readonly listener: Listener; readonly from: Endpoint } | undefined {
  const watched = listeners.map(({ fd }) => ({ fd, events: POLLIN }));
  for (let ready = firstReady(watched, SILENCE_MS); ready !== undefined; ready = firstReady(watched, SILENCE_MS)) {
    const listener = listeners.find(({ fd }) => fd === ready);
    const got = receiveFrom(ready, { bytesMax: TOKEN_BYTES, addressBytes: SOCKADDR_BYTES[family] });
    if (listener !== undefined && got?.data.equals(token)) return { listener, from: readSockaddr(family, got.from) };
  }
  return undefined;
}

function unseen(client: number): Seen {
  const errno = errorOf(client);
  return errno === undefined ? { kind: 'dropped' } : { kind: 'refused', errno };
}

/** Whoever got the packet answers from where it was reached. */
function answer(
  world: World,
  { family, to }: Trial,
  task: {
    readonly listener: Listener;
    readonly token: Buffer;
    readonly client: Endpoint;
    readonly redirected: boolean;
  },
): void {
  const address = sockaddr(family, task.client);
  if (task.redirected) return sendTo(task.listener.fd, task.token, address);
  const fd = world.inside(task.listener.place, () => {
    const socket = asOwner(APP, () => openSocket(family, UDP));
    setOption(socket, family, 'reuseAddress');
    setOption(socket, family, 'transparent');
    bindTo(socket, family, to);
    return socket;
  });
  sendTo(fd, task.token, address);
  libc().close(fd);
}

function isAnswered(client: number, token: Buffer): boolean {
  if (firstReady([{ fd: client, events: POLLIN }], SILENCE_MS) === undefined) return false;
  const data = Buffer.alloc(TOKEN_BYTES);
  return libc().recv(client, data, MSG_DONTWAIT) === TOKEN_BYTES && data.equals(token);
}

let tokens = 0n;

function nextToken(): Buffer {
  const token = Buffer.alloc(TOKEN_BYTES);
  token.writeBigUInt64BE((tokens += 1n));
  return token;
}
