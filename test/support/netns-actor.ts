import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { libc } from '../../src/netns/libc.ts';
import { readSockaddr, SOCKADDR_BYTES } from '../../src/netns/sockaddr.ts';

export type Request =
  | { readonly kind: 'listen'; readonly label: string; readonly ports: readonly number[] }
  | { readonly kind: 'connect'; readonly address: string; readonly port: number }
  | { readonly kind: 'alias' };

export type Reply = string;

/** Long enough for a machine under load, short enough for a test that expects silence. */
const CONNECT_TIMEOUT_MS = 2_000;

if (process.argv[2] !== undefined) main(Number(process.argv[2]), Number(process.argv[3]));

function main(uid: number, gid: number): void {
  libc();
  process.setgroups?.([]);
  process.setgid?.(gid);
  process.setuid?.(uid);
  process.on('message', (request: Request) => {
    void answer(request)
      .catch((error: unknown) => `failed: ${String(error)}`)
      .then((reply) => process.send?.(reply));
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.('ready');
}

async function answer(request: Request): Promise<Reply> {
  if (request.kind === 'alias') return readFileSync('/sys/class/net/lo/ifalias', 'utf8').trimEnd();
  if (request.kind === 'connect') return dial(request.address, request.port);
  for (const port of request.ports) for (const family of [4, 6] as const) await listen(request.label, port, family);
  return 'listening';
}

function listen(label: string, port: number, family: 4 | 6): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(`${label}:${port} ${originalDestination(socket, family)}`);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: family === 4 ? '0.0.0.0' : '::', ipv6Only: family === 6 }, resolve);
  });
}

function originalDestination(socket: Socket, family: 4 | 6): string {
  const buffer = Buffer.alloc(SOCKADDR_BYTES[family]);
  const result = libc().getsockopt(descriptor(socket), family === 4 ? 0 : 41, 80, buffer);
  if (result < 0) return 'direct';
  const { address, port } = readSockaddr(family, buffer);
  if (address === socket.localAddress && port === socket.localPort) return 'direct';
  return family === 4 ? `${address}:${port}` : `[${address}]:${port}`;
}

function descriptor(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  return typeof handle === 'object' && handle !== null && 'fd' in handle && typeof handle.fd === 'number'
    ? handle.fd
    : -1;
}

function dial(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    let text = '';
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
      socket.destroy();
      resolve('ETIMEDOUT');
    });
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('close', () => resolve(text));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}
