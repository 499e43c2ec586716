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
  writeAddress(family, endpoint.address).copy(buffer, family === 4 ? 4 : 8);
  return buffer;
}

/** An address as 4 or 16 bytes. */
export function writeAddress(family: Family, address: string): Buffer {
  if (family === 4) return Buffer.from(address.split('.').map(Number));
  const buffer = Buffer.alloc(16);
  groupsOf(address).forEach((group, index) => buffer.writeUInt16BE(group, 2 * index));
  return buffer;
}

/** 4 or 16 bytes as an address in its shortest form. */
export function readAddress(family: Family, bytes: Buffer): string {
  if (family === 4) return [...bytes.subarray(0, 4)].join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  return canonicalV6(groups.join(':'));
}

/** What the kernel filled in, with the address in its shortest form. */
export function readSockaddr(family: Family, buffer: Buffer): Endpoint {
  return { address: readAddress(family, buffer.subarray(family === 4 ? 4 : 8)), port: buffer.readUInt16BE(2) };
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
