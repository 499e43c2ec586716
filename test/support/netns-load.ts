import { connect, createServer, type Socket } from 'node:net';
import { libc } from '../../src/netns/libc.ts';
import { readSockaddr, SOCKADDR_BYTES } from '../../src/netns/sockaddr.ts';

/** Child of `netns-load-client.ts`: a server that says who it is, or clients that connect without pause and keep some connections open. */
export type LoadTask =
  | { readonly role: 'serve'; readonly label: string; readonly ports: readonly number[] }
  | { readonly role: 'load'; readonly targets: readonly Target[]; readonly held: readonly Target[] };

export type Target = readonly [address: string, port: number];

export interface LoadReport {
  /** By answer (`proxy`, `outside`, …) or error code. */
  readonly connects: Readonly<Record<string, number>>;
  /** Connects that took longer than `STALL_MS`: a lost SYN is sent again after a second. */
  readonly stalledConnects: number;
  readonly slowestConnectMs: number;
  /** Connections that were kept open, and what became of them. */
  readonly held: {
    readonly opened: number;
    readonly lost: number;
    readonly roundTrips: number;
    readonly slowestMs: number;
  };
}

/** Servers of this port, by the destination the client meant, echo instead of answering. */
export const ECHO_PORT = 7;
const STALL_MS = 900;
const CONNECT_TIMEOUT_MS = 5_000;
/** Several at once, so that one lost packet does not leave a pause. */
const LANES = 8;

if (import.meta.main) main(Number(process.argv[2]), Number(process.argv[3]), JSON.parse(process.argv[4] ?? '{}'));

function main(uid: number, gid: number, task: LoadTask): void {
  // Loaded as root: the library may not be readable later.
  libc();
  process.setgroups?.([]);
  process.setgid?.(gid);
  process.setuid?.(uid);
  process.on('disconnect', () => process.exit(0));
  if (task.role === 'serve') void serve(task.label, task.ports).then(() => process.send?.('ready'));
  else load(task.targets, task.held);
}

async function serve(label: string, ports: readonly number[]): Promise<void> {
  for (const port of ports) for (const family of [4, 6] as const) await listen(label, port, family);
}

function listen(label: string, port: number, family: 4 | 6): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    if (meantPort(socket, family) === ECHO_PORT) socket.pipe(socket);
    else socket.end(label);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: family === 4 ? '0.0.0.0' : '::', ipv6Only: family === 6, backlog: 4_096 }, resolve);
  });
}

/** SO_ORIGINAL_DST (80) if it was redirected. */
function meantPort(socket: Socket, family: 4 | 6): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : -1;
  const buffer = Buffer.alloc(SOCKADDR_BYTES[family]);
  const result = libc().getsockopt(Number(fd), family === 4 ? 0 : 41, 80, buffer);
  return result < 0 ? (socket.localPort ?? 0) : readSockaddr(family, buffer).port;
}

function load(targets: readonly Target[], held: readonly Target[]): void {
  const connects: Record<string, number> = {};
  const state = { total: 0, stopped: false, stalled: 0, slowestMs: 0 };
  const lanes = Array.from({ length: targets.length === 0 ? 0 : LANES }, async (_, lane) => {
    for (let turn = lane; !state.stopped; turn += 1) {
      const startMs = performance.now();
      const answer = await dial(targets[turn % targets.length] ?? ['', 0]);
      const tookMs = performance.now() - startMs;
      connects[answer] = (connects[answer] ?? 0) + 1;
      state.total += 1;
      state.slowestMs = Math.max(state.slowestMs, tookMs);
      if (tookMs > STALL_MS) state.stalled += 1;
    }
  });
  const keeper = keepOpen(held);
  process.on('message', (what) => {
    // Not at once: the asker would only ask again.
    if (what === 'count') return void setTimeout(() => process.send?.(state.total), 5);
    state.stopped = true;
    void Promise.all(lanes).then(() => {
      const report: LoadReport = {
        connects,
        stalledConnects: state.stalled,
        slowestConnectMs: state.slowestMs,
        held: keeper(),
      };
      process.send?.(report);
    });
  });
  process.send?.('ready');
}

/** Connections on which a few bytes go back and forth all the time. */
function keepOpen(held: readonly Target[]): () => LoadReport['held'] {
  const counts = { opened: 0, lost: 0, roundTrips: 0, slowestMs: 0 };
  for (const [host, port] of held) {
    let sentMs = 0;
    const socket = connect({ host, port });
    const ping = (): void => {
      sentMs = performance.now();
      socket.write('ping');
    };
    socket.on('connect', () => {
      counts.opened += 1;
      ping();
    });
    socket.on('data', () => {
      counts.roundTrips += 1;
      counts.slowestMs = Math.max(counts.slowestMs, performance.now() - sentMs);
      // As often as they like they would leave no time for anything else.
      setTimeout(ping, 2);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      counts.lost += 1;
    });
  }
  return () => ({ ...counts });
}

function dial([host, port]: Target): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (answer: string): void => {
      // With an RST: no port stays taken.
      socket.resetAndDestroy();
      resolve(answer);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => finish('ETIMEDOUT'));
    socket.once('data', (chunk) => finish(chunk.toString()));
    socket.once('end', () => finish('closed'));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  });
}
