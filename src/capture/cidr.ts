import {
  type AddressRange,
  type Family,
  formatAddress,
  mergeRanges,
  networkOf,
  parseAddress,
  prefixRange,
  WIDTH,
} from '../address.ts';
import { accepted, type Parsed, parseList, refused, trimmed } from './parsed.ts';
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
  const family = address.includes(':') ? 6 : 4;
  const bits = parseAddress(family, address);
  if (bits === undefined || prefix > WIDTH[family]) return refused(ALLOWED);
  if (family === 6 && bits >> 32n === 0xffffn && prefix >= 96) return refused('IPv4 ranges in IPv4 form');
  return accepted(masked(family, bits, prefix));
}

/** A list of ranges in the order given; blank is none. */
export function parseCidrs(raw: string): Parsed<readonly Cidr[]> {
  return parseList(raw, parseCidr, { itemsMax: CIDRS_MAX, keyOf: cidrText });
}

/** `*` for everything, or a list as above. */
export function parseCidrSelection(raw: string): Parsed<Selection<Cidr>> {
  if (trimmed(raw) === '*') return accepted({ all: true });
  const parsed = parseCidrs(raw);
  return parsed.ok ? accepted({ all: false, items: parsed.value }) : refused(`* or ${parsed.allowed}`);
}

/** The IPv4 range that stands for loopback: within 127.0.0.0/8, as Istio asks of ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR. */
export function parseLoopbackRange(raw: string): Parsed<Cidr> {
  const parsed = parseCidr(trimmed(raw));
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
  return networkOf(inner.family, addressBits(inner), outer.prefix) === addressBits(outer);
}

/** Does a range hold an address, given in plain form? */
export function holdsAddress(range: Cidr, address: string): boolean {
  const bits = parseAddress(range.family, address);
  return bits !== undefined && networkOf(range.family, bits, range.prefix) === addressBits(range);
}

/** Those of one family as numbers, merged: to ask about many addresses without going through thousands of ranges for each. */
export function mergedRanges(family: Family, ranges: readonly Cidr[]): readonly AddressRange[] {
  return mergeRanges(
    ranges.flatMap((one) => {
      const range = one.family === family ? prefixRange(family, one.address, one.prefix) : undefined;
      return range ?? [];
    }),
  );
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
  return formatAddress(cidr.family, addressBits(cidr) + offset);
}

/** Of a range, whose address was checked when it was made. */
function addressBits({ family, address }: Cidr): bigint {
  return parseAddress(family, address) ?? 0n;
}

function masked(family: Family, bits: bigint, prefix: number): Cidr {
  return { family, address: formatAddress(family, networkOf(family, bits, prefix)), prefix };
}
