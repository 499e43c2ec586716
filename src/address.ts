import { isIPv4, isIPv6, SocketAddress } from 'node:net';

/** Addresses as numbers: the one place where they are read, written and counted. Pure. */

/** Inclusive. IPv4 and IPv6 never mix in one list. */
export interface AddressRange {
  readonly first: bigint;
  readonly last: bigint;
}

export type Family = 4 | 6;

/** Of an address. */
export const WIDTH = { 4: 32, 6: 128 } as const;

const BITS = { 4: 32n, 6: 128n } as const;

/** `address/prefix` as a range; undefined unless it is a numeric address without zone, a fitting prefix, and no host bits. */
export function prefixRange(family: Family, address: string, prefix: number): AddressRange | undefined {
  const first = parseAddress(family, address);
  const bits = BITS[family];
  if (first === undefined || !Number.isInteger(prefix) || prefix < 0 || BigInt(prefix) > bits) return undefined;
  const size = 1n << (bits - BigInt(prefix));
  return first % size === 0n ? { first, last: first + size - 1n } : undefined;
}

/** The first address of the range a prefix gives around an address: host bits are cleared, as the kernel does. */
export function networkOf(family: Family, address: bigint, prefix: number): bigint {
  const host = BITS[family] - BigInt(prefix);
  return (address >> host) << host;
}

/** Sorted, with overlapping and adjacent ranges made one: nft refuses overlaps, and the kernel's own order is its own affair. */
export function mergeRanges(ranges: readonly AddressRange[]): AddressRange[] {
  const merged: AddressRange[] = [];
  for (const range of ranges.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))) {
    const previous = merged.at(-1);
    if (previous === undefined || range.first > previous.last + 1n) merged.push(range);
    else if (range.last > previous.last) merged[merged.length - 1] = { first: previous.first, last: range.last };
  }
  return merged;
}

/** Does one of the ranges hold the address? They must be as `mergeRanges` leaves them: thousands cost no more than a few. */
export function isWithin(merged: readonly AddressRange[], address: bigint): boolean {
  let from = 0;
  let to = merged.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    const range = merged[middle];
    if (range === undefined || range.last < address) from = middle + 1;
    else if (range.first > address) to = middle;
    else return true;
  }
  return false;
}

/** As nft writes it: an address, a prefix where the range is one, else `first-last`. */
export function formatRange(family: Family, range: AddressRange): string {
  const size = range.last - range.first + 1n;
  const first = formatAddress(family, range.first);
  if (size === 1n) return first;
  const isPrefix = (size & (size - 1n)) === 0n && range.first % size === 0n;
  if (!isPrefix) return `${first}-${formatAddress(family, range.last)}`;
  return `${first}/${BITS[family] - BigInt(size.toString(2).length - 1)}`;
}

/** The fewest prefixes that make up a range, in order. */
export function rangePrefixes(
  family: Family,
  range: AddressRange,
): readonly { readonly first: bigint; readonly prefix: number }[] {
  const prefixes: { first: bigint; prefix: number }[] = [];
  for (let { first } = range; first <= range.last; ) {
    let bits = 0n;
    // Doubled for as long as it starts where such a prefix may start and does not go beyond the end.
    while (bits < BITS[family] && first % (2n << bits) === 0n && first + (2n << bits) - 1n <= range.last) bits += 1n;
    prefixes.push({ first, prefix: Number(BITS[family] - bits) });
    first += 1n << bits;
  }
  return prefixes;
}

/** The address as a number; undefined if it is not a plain numeric address of that family. */
export function parseAddress(family: Family, text: string): bigint | undefined {
  if (family === 4) return isIPv4(text) ? parseV4(text) : undefined;
  return isIPv6(text) && !text.includes('%') ? parseV6(text) : undefined;
}

function parseV4(text: string): bigint {
  return BigInt(v4Number(text));
}

function v4Number(text: string): number {
  return text.split('.').reduce((value, byte) => value * 256 + Number(byte), 0);
}

/** By one number of 32 digits: a list holds thousands of addresses, and each step of a bigint is an allocation. */
function parseV6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const left = groups(head);
  const right = tail === undefined ? '' : groups(tail);
  return BigInt(`0x${left}${'0'.repeat(32 - left.length - right.length)}${right}`);
}

/** Four digits each; a dotted end makes two. */
function groups(text: string): string {
  if (text === '') return '';
  const digits = text.split(':').map((group) => {
    return group.includes('.') ? v4Number(group).toString(16).padStart(8, '0') : group.padStart(4, '0');
  });
  return digits.join('');
}

/** As inet_ntop prints it, which is also what libnftables, iptables and people use. */
export function formatAddress(family: Family, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  const full = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  return new SocketAddress({ address: full.join(':'), family: 'ipv6' }).address;
}
