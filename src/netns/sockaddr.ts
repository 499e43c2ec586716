/** struct sockaddr_in and sockaddr_in6 as bytes. */
export type Family = 4 | 6;

export const AF = { 4: 2, 6: 10 } as const;
export const SOCKADDR_BYTES = { 4: 16, 6: 28 } as const;
export const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Made so far, by their text: nearly every pod is probed at the same few. */
const MADE = new Map<string, Buffer>();
const MADE_MAX = 64;

/** Address and port for bind, connect; not to be written to. `address` is numeric, without a zone. */
export function sockaddr(family: Family, endpoint: Endpoint): Buffer {
  const key = `${family} ${endpoint.address} ${endpoint.port}`;
  const known = MADE.get(key);
  if (known !== undefined) return known;
  // Pods choose some of them.
  if (MADE.size >= MADE_MAX) MADE.clear();
  const made = makeSockaddr(family, endpoint);
  MADE.set(key, made);
  return made;
}

function makeSockaddr(family: Family, endpoint: Endpoint): Buffer {
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
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(bytes.readUInt16BE(at));
  return shortest(groups);
}

/** What the kernel filled in, with the address in its shortest form. */
export function readSockaddr(family: Family, buffer: Buffer): Endpoint {
  return { address: readAddress(family, buffer.subarray(family === 4 ? 4 : 8)), port: buffer.readUInt16BE(2) };
}

/** Equal for equal endpoints of a family, and cheaper to have than their addresses in text. */
export function endpointKey(family: Family, buffer: Buffer): string {
  return buffer.toString('latin1', 2, family === 4 ? 8 : 24);
}

/** One spelling per address, so that strings can be compared. */
export function canonical(address: string): string {
  return address.includes(':') ? shortest(groupsOf(address)) : address;
}

/** RFC 5952, in hex throughout: `net.SocketAddress` costs as much as a system call. */
function shortest(groups: readonly number[]): string {
  const zeros = longestZeros(groups);
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return zeros.length < 2
    ? text(0, groups.length)
    : `${text(0, zeros.start)}::${text(zeros.start + zeros.length, groups.length)}`;
}

/** The first of equally long ones. */
function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let end = start;
    while (groups[end] === 0) end += 1;
    if (end - start > longest.length) longest = { start, length: end - start };
    if (end > start) start = end;
  }
  return longest;
}

function groupsOf(address: string): readonly number[] {
  const [head = '', tail, ...more] = address.split('::');
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  const missing = 8 - left.length - right.length;
  if (more.length > 0 || (tail === undefined ? missing !== 0 : missing < 1)) throw unfit(address);
  return [...left, ...Array.from({ length: missing }, () => 0), ...right];
}

function words(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((word) => {
    if (/^[0-9a-f]{1,4}$/i.test(word)) return [Number.parseInt(word, 16)];
    const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(word)?.slice(1).map(Number);
    if (parts === undefined || parts.some((part) => part > 255)) throw unfit(text);
    const [a = 0, b = 0, c = 0, d = 0] = parts;
    return [a * 256 + b, c * 256 + d];
  });
}

function unfit(address: string): Error {
  return new Error(`${JSON.stringify(address)} is no IPv6 address`);
}
