import { readFileSync } from 'node:fs';

/** TCP_LISTEN of net/tcp_states.h, as the table prints it. */
const LISTEN = '0A';

/**
 * Does a socket of the current netns with local port `port` talk to remote port `from`? By /proc/thread-self, which follows the calling
 * thread into a netns; `/proc/net` would be that of the process. Both families: a socket on `::` takes IPv4 connections too.
 */
export function holdsConnection(port: number, from: number): boolean {
  return ['tcp', 'tcp6'].some((name) => hasPair(readTable(name), port, from));
}

/** `  sl  local_address rem_address   st …`, addresses in hex with the port behind a colon. Pure. */
export function hasPair(table: string, port: number, from: number): boolean {
  const [local, remote] = [portText(port), portText(from)];
  return table.split('\n').some((line) => {
    const [, here, there, state] = line.trim().split(/\s+/);
    return here?.endsWith(local) === true && there?.endsWith(remote) === true && state !== LISTEN;
  });
}

function readTable(name: string): string {
  return readFileSync(`/proc/thread-self/net/${name}`, 'latin1');
}

function portText(port: number): string {
  return `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}
