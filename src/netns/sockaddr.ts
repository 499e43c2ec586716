import { SocketAddress } from 'node:net';

/** struct sockaddr_in and sockaddr_in6 as bytes. Pure. */
export type Family = 4 | 6;

export const AF = { 4: 2, 6: 10 } as const;
export const SOCKADDR_BYTES = { 4: 16, 6: 28 } as const;
export const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Address and port for bind, connect. `address` is numeric, without a zone. */
export function sockaddr(family: Family, endpoint: Endpoint): Buffer {
  const buffer = Buffer.alloc(SOCKADDR_BYTES[family]);
  buffer.writeUInt16LE(AF[family], 0);
  buffer.writeUInt16BE(endpoint.port, 2);
  if (family === 4) Buffer.from(endpoint.address.split('.').map(Number)).copy(buffer, 4);
  else groupsOf(endpoint.address).forEach((group, index) => buffer.writeUInt16BE(group, 8 + 2 * index));
  return buffer;
}

/** What the kernel filled in, with the address in its shortest form. */
export function readSockaddr(family: Family, buffer: Buffer): Endpoint {
  const port = buffer.readUInt16BE(2);
  if (family === 4) return { address: [...buffer.subarray(4, 8)].join('.'), port };
  const groups = Array.from({ length: 8 }, (_, index) => buffer.readUInt16BE(8 + 2 * index).toString(16));
  return { address: canonicalV6(groups.join(':')), port };
}

/** One spelling per address, so that strings can be compared. */
export function canonical(address: string): string {
  return address.includes(':') ? canonicalV6(address) : address;
}

function canonicalV6(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address;
}

function groupsOf(address: string): number[] {
  const [head = '', tail] = canonicalV6(address).split('::');
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  const zeros: number[] = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return [...left, ...zeros, ...right];
}

function words(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((word) => {
    if (!word.includes('.')) return [Number.parseInt(word, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = word.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
