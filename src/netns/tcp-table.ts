import { readFileSync } from 'node:fs';

/** TCP_LISTEN of net/tcp_states.h, as the table prints it. */
const LISTEN = '0A';

/**
 * The remote ports of all connections of the current netns with local port `port`, also of those that linger. By /proc/thread-self, which
 * follows the calling thread into a netns; `/proc/net` would be that of the process. Both families: a socket on `::` takes IPv4, too.
 */
export function peersOf(port: number): Set<number> {
  return new Set(['tcp', 'tcp6'].flatMap((name) => peersIn(readTable(name), port)));
}

/** `  sl  local_address rem_address   st …`, addresses in hex with the port behind a colon. Pure. */
export function peersIn(table: string, port: number): number[] {
  const local = portText(port);
  return table.split('\n').flatMap((line) => {
    const [, here, there, state] = line.trim().split(/\s+/);
    if (here?.endsWith(local) !== true || there === undefined || state === LISTEN) return [];
    return [Number.parseInt(there.slice(there.lastIndexOf(':') + 1), 16)];
  });
}

function readTable(name: string): string {
  return readFileSync(`/proc/thread-self/net/${name}`, 'latin1');
}

function portText(port: number): string {
  return `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}
