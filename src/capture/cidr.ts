import { isIPv4, isIPv6 } from 'node:net';
import { accepted, type Parsed, parseList, refused } from './parsed.ts';
import type { Cidr, Selection } from './policy.ts';

const ALLOWED = 'an IPv4 or IPv6 range such as 10.0.0.0/8 or 2001:db8::/32';
export const CIDRS_MAX = 4_096;

/**
 * One range, made canonical: host bits are cleared (as the kernel would), IPv6 in its shortest form. Refused: an address without a prefix
 * length, zone ids, and IPv4 written as IPv6 (`::ffff:…`), which no packet carries.
 */
export function parseCidr(raw: string): Parsed<Cidr> {
  const match = /^([0-9A-Fa-f:.]{2,45})\/(0|[1-9][0-9]{0,2})$/.exec(raw);
  if (match?.[1] === undefined || match[2] === undefined) return refused(ALLOWED);
  const [, address, prefixText] = match;
  const prefix = Number(prefixText);
  if (isIPv4(address)) return prefix <= 32 ? accepted(masked(4, ipv4Bits(address), prefix)) : refused(ALLOWED);
  if (!isIPv6(address) || prefix > 128) return refused(ALLOWED);
  const bits = ipv6Bits(address);
  if (bits >> 32n === 0xffffn && prefix >= 96) return refused('IPv4 ranges in IPv4 form');
  return accepted(masked(6, bits, prefix));
}

/** A list of ranges in the order given; blank is none. */
export function parseCidrs(raw: string): Parsed<readonly Cidr[]> {
  return parseList(raw, parseCidr, { itemsMax: CIDRS_MAX, keyOf: cidrText });
}

/** `*` for everything, or a list as above. */
export function parseCidrSelection(raw: string): Parsed<Selection<Cidr>> {
  if (raw.trim() === '*') return accepted({ all: true });
  const parsed = parseCidrs(raw);
  return parsed.ok ? accepted({ all: false, items: parsed.value }) : refused(`* or ${parsed.allowed}`);
}

/** The IPv4 range that stands for loopback: within 127.0.0.0/8, as Istio asks of ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR. */
export function parseLoopbackRange(raw: string): Parsed<Cidr> {
  const parsed = parseCidr(raw.trim());
  const fits =
    parsed.ok && parsed.value.family === 4 && parsed.value.prefix >= 8 && parsed.value.address.startsWith('127.');
  return fits ? parsed : refused('an IPv4 range within 127.0.0.0/8');
}

export function cidrText(cidr: Cidr): string {
  return `${cidr.address}/${cidr.prefix}`;
}

/** Does a range start within loopback? Asked as Istio asks it, of the range's address. */
export function isLoopback(range: Cidr): boolean {
  return range.family === 4 ? range.address.startsWith('127.') : range.address === '::1';
}

/** Does `outer` hold all of `inner`? */
export function containsCidr(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.prefix > inner.prefix) return false;
  const width = outer.family === 4 ? 32n : 128n;
  const shift = width - BigInt(outer.prefix);
  return addressBits(outer) >> shift === addressBits(inner) >> shift;
}

/** Does a range hold an address, given in plain form? */
export function holdsAddress(range: Cidr, address: string): boolean {
  const host = parseCidr(`${address}/${range.family === 4 ? 32 : 128}`);
  return host.ok && containsCidr(range, host.value);
}

/** What is sent there never leaves the pod. */
const LOOPBACK_RANGES: readonly Cidr[] = [
  { family: 4, address: '127.0.0.0', prefix: 8 },
  { family: 6, address: '::1', prefix: 128 },
];

/** Is this address, in plain form, one of loopback's? */
export function isLoopbackAddress(address: string): boolean {
  return LOOPBACK_RANGES.some((range) => holdsAddress(range, address));
}

/** The nth address of a range, in canonical form. */
export function addressIn(cidr: Cidr, offset: bigint): string {
  return cidr.family === 4 ? ipv4Text(addressBits(cidr) + offset) : ipv6Text(addressBits(cidr) + offset);
}

function addressBits(cidr: Cidr): bigint {
  return cidr.family === 4 ? ipv4Bits(cidr.address) : ipv6Bits(cidr.address);
}

function masked(family: 4 | 6, bits: bigint, prefix: number): Cidr {
  const width = family === 4 ? 32n : 128n;
  const shift = width - BigInt(prefix);
  const network = (bits >> shift) << shift;
  return { family, address: family === 4 ? ipv4Text(network) : ipv6Text(network), prefix };
}

function ipv4Bits(address: string): bigint {
  return address.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

function ipv4Text(bits: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((bits >> shift) & 0xffn)).join('.');
}

/** Of an address `isIPv6` has accepted; the last 32 bits may be in dotted form. */
function ipv6Bits(address: string): bigint {
  const dotted = address.lastIndexOf(':') + 1;
  const text = address.includes('.') ? address.slice(0, dotted) + hexPair(ipv4Bits(address.slice(dotted))) : address;
  const [head = '', tail] = text.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

function hexPair(bits: bigint): string {
  return `${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`;
}

/** RFC 5952: the longest run of two or more zero groups, the first of several, becomes `::`. */
function ipv6Text(bits: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => ((bits >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  const runs = [...groups.join(':').matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)];
  const longest = runs.reduce<RegExpMatchArray | undefined>(
    (best, run) => (best === undefined || run[0].length > best[0].length ? run : best),
    undefined,
  );
  const text = groups.join(':');
  if (longest?.index === undefined) return text;
  const before = text.slice(0, longest.index).replace(/:$/, '');
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}
