import { libc } from '../../src/netns/libc.ts';
import { type Endpoint, readSockaddr, sockaddr, SOCKADDR_BYTES } from '../../src/netns/sockaddr.ts';
import { clientSocket, MSG_DONTWAIT, nextToken, placeOf, POLLIN, TOKEN_BYTES } from './client.ts';
import { APP } from './listeners.ts';
import { type Family, isOwn } from './places.ts';
import { bindTo, errorOf, nameOf, openSocket, setOption, UDP } from './sockets.ts';
import { asOwner, firstReady, must, receiveFrom, sendTo } from './syscalls.ts';
import { endpointText, type Seen, type Sighting, type Trial } from './trial.ts';
import type { Listener, World } from './world.ts';

/** Sends one packet, looks who got it, and whether an answer finds its way back. */
export function observeUdp(world: World, trial: Trial, listeners: readonly Listener[]): Sighting {
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
    const received = receiveToken(world, listeners, { token, family });
    if (received === undefined) return { seen: unseen(client), source, answered: false };
    const { listener, from } = received;
    const redirected = listener.place === 'pod' && !(isOwn(family, to.address) && listener.port === to.port);
    answer(world, trial, { listener, token, client: from, redirected });
    const seen: Seen = redirected ? { kind: 'redirected', port: listener.port } : { kind: 'passed' };
    return { seen, source, answered: isAnswered(world, client, token) };
  } finally {
    libc().close(client);
  }
}

/** Passes over what is still on its way from earlier packets. */
function receiveToken(
  { silenceMs }: World,
  listeners: readonly Listener[],
  task: { readonly token: Buffer; readonly family: Family },
): { readonly listener: Listener; readonly from: Endpoint } | undefined {
  const watched = listeners.map(({ fd }) => ({ fd, events: POLLIN }));
  const addressBytes = SOCKADDR_BYTES[task.family];
  for (let ready = firstReady(watched, silenceMs); ready !== undefined; ready = firstReady(watched, silenceMs)) {
    const listener = listeners.find(({ fd }) => fd === ready);
    const got = receiveFrom(ready, { bytesMax: TOKEN_BYTES, addressBytes });
    if (listener === undefined || got?.data.equals(task.token) !== true) continue;
    return { listener, from: readSockaddr(task.family, got.from) };
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

function isAnswered({ silenceMs }: World, client: number, token: Buffer): boolean {
  if (firstReady([{ fd: client, events: POLLIN }], silenceMs) === undefined) return false;
  const data = Buffer.alloc(TOKEN_BYTES);
  return libc().recv(client, data, MSG_DONTWAIT) === TOKEN_BYTES && data.equals(token);
}
