import { libc } from '../src/netns/libc.ts';
import { acceptOriginal, closeSocket, listenHere, waitReadable } from '../src/netns/probe-socket.ts';
import { AF, sockaddr } from '../src/netns/sockaddr.ts';

/**
 * Child of `large.ts`, inside a pod's netns: `UID serve` takes connections on the outbound port as long as its parent lives; `UID ADDRESS` connects for as
 * many milliseconds as it is told, and answers how often. System calls without an event loop, so that the rules are a part of the cost
 * that can be seen.
 */
const [uid = '', what = ''] = process.argv.slice(2);
libc();
process.setgroups?.([]);
process.setgid?.(Number(uid));
process.setuid?.(Number(uid));
const OUTBOUND_PORT = 15_001;
/** In turn: the kernel chooses at random, and some anew before conntrack has forgotten them; then the first packet is lost. */
const [FIRST_PORT, LAST_PORT] = [20_000, 65_000];
let nextPort = FIRST_PORT;
/** SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC */
const SOCK_STREAM_NONBLOCK = 1 | 0o4000 | 0o2000000;

if (what === 'serve') serve();
else {
  process.on('message', (forMs) => process.send?.(dial(what, Number(forMs))));
  process.send?.('ready');
}

function serve(): void {
  const place = { family: 4, port: OUTBOUND_PORT, protocol: 'tcp', transparent: false } as const;
  const listener = listenHere(place);
  if (listener.state !== 'listening') throw new Error(`port ${OUTBOUND_PORT}: ${listener.state}`);
  process.send?.('ready');
  const parent = process.ppid;
  while (process.ppid === parent) {
    if (waitReadable(listener.fd, 1_000)) while (acceptOriginal(listener.fd, place) !== undefined);
  }
}

function dial(address: string, forMs: number): number {
  const untilMs = performance.now() + forMs;
  for (let count = 0; ; count += 1) {
    if (performance.now() > untilMs) return count;
    const fd = libc().socket(AF[4], SOCK_STREAM_NONBLOCK, 0);
    bindNext(fd);
    libc().connect(fd, sockaddr(4, { address, port: 80 }));
    // Until the server has let it go: faster than it accepts, its queue would overflow.
    waitReadable(fd, 1_000);
    closeSocket(fd);
  }
}

function bindNext(fd: number): void {
  for (let tries = 0; tries < 100; tries += 1) {
    nextPort = nextPort === LAST_PORT ? FIRST_PORT : nextPort + 1;
    if (libc().bind(fd, sockaddr(4, { address: '0.0.0.0', port: nextPort })) === 0) return;
  }
  throw new Error('no source port');
}
