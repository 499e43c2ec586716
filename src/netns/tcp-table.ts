import { readFileSync } from 'node:fs';
import { type Endpoint, writeAddress } from './sockaddr.ts';

/** TCP_LISTEN of net/tcp_states.h, as the table prints it. */
const LISTEN = '0A';

/**
 * The remote ports of all connections of the current netns whose near end is this, also of those that linger. By /proc/thread-self, which
 * follows the calling thread into a netns; `/proc/net` would be that of the process. Both families: a socket on `::` takes IPv4, too.
 */
export function peersOf(near: Endpoint): Set<number> {
  return new Set(TABLES.flatMap((name) => peersIn(readTable(name), near)));
}

/** Does anything in the current netns listen on this port, on whatever address? */
export function isListening(port: number): boolean {
  return TABLES.some((name) =>
    rowsOf(readTable(name)).some(({ local, state }) => state === LISTEN && local.endsWith(portText(port))),
  );
}

/** `  sl  local_address rem_address   st …`, addresses in hex with the port behind a colon. Pure. */
export function peersIn(table: string, { address, port }: Endpoint): number[] {
  const words = addressWords(address);
  return rowsOf(table).flatMap(({ local, remote, state }) => {
    if (!local.endsWith(portText(port)) || state === LISTEN) return [];
    if (!words.includes(local.slice(0, -portText(port).length))) return [];
    return [Number.parseInt(remote.slice(remote.lastIndexOf(':') + 1), 16)];
  });
}

const TABLES = ['tcp', 'tcp6'] as const;

function rowsOf(table: string): { readonly local: string; readonly remote: string; readonly state: string }[] {
  return table.split('\n').flatMap((line) => {
    const [, local, remote, state] = line.trim().split(/\s+/);
    return local === undefined || remote === undefined || state === undefined ? [] : [{ local, remote, state }];
  });
}

/** An address as the tables print it: in words of the machine's order (little-endian); one of IPv4 also as a socket on `::` has it. */
function addressWords(address: string): string[] {
  const family = address.includes(':') ? 6 : 4;
  const bytes = writeAddress(family, address);
  const text = Array.from({ length: bytes.length / 4 }, (_, index) => wordText(bytes.readUInt32LE(4 * index))).join('');
  return family === 6 ? [text] : [text, `${'0'.repeat(16)}FFFF0000${text}`];
}

function wordText(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}

function readTable(name: string): string {
  return readFileSync(`/proc/thread-self/net/${name}`, 'latin1');
}

function portText(port: number): string {
  return `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}
