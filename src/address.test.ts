import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatAddress,
  formatRange,
  isWithin,
  mergeRanges,
  networkOf,
  parseAddress,
  prefixRange,
  rangePrefixes,
} from './address.ts';

const v4 = (address: string, prefix: number) => {
  const range = prefixRange(4, address, prefix);
  if (range === undefined) throw new Error(`${address}/${prefix}`);
  return range;
};

describe('prefixRange', () => {
  it.each([
    [4, '10.0.0.1', 8],
    [4, '10.0.0.0', 33],
    [4, '10.0.0.0', -1],
    [4, '10.0.0.0', 8.5],
    [4, '010.0.0.0', 8],
    [4, '10.0.0', 8],
    [4, '::', 8],
    [6, 'fe80::%eth0', 64],
    [6, '10.0.0.0', 8],
    [6, '2001:db8::1', 32],
    [6, '2001:db8::', 129],
    [4, '10.0.0.0 } ; flush ruleset', 8],
  ] as const)('IPv%s %s/%s is none', (family, address, prefix) => {
    expect(prefixRange(family, address, prefix)).toBeUndefined();
  });

  it('takes the whole of a family', () => {
    expect(formatRange(4, v4('0.0.0.0', 0))).toBe('0.0.0.0/0');
    expect(prefixRange(6, '::', 0)).toEqual({ first: 0n, last: 2n ** 128n - 1n });
  });
});

describe('formatRange', () => {
  it('writes an address, a prefix or a range', () => {
    expect(formatRange(4, v4('192.0.2.1', 32))).toBe('192.0.2.1');
    expect(formatRange(4, v4('192.0.2.0', 24))).toBe('192.0.2.0/24');
    expect(formatRange(4, { first: 1n, last: 2n })).toBe('0.0.0.1-0.0.0.2');
    expect(formatRange(6, { first: 6n, last: 6n })).toBe('::6');
  });

  it('comes back as it went', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const value = parseAddress(6, address);
        if (value === undefined) throw new Error(address);
        expect(parseAddress(6, formatRange(6, { first: value, last: value }))).toBe(value);
      }),
    );
  });
});

describe('networkOf', () => {
  it('clears host bits', () => {
    expect(formatAddress(4, networkOf(4, 0x0a01_0203n, 8))).toBe('10.0.0.0');
    expect(networkOf(4, 0xffff_ffffn, 0)).toBe(0n);
    expect(networkOf(6, 2n ** 128n - 1n, 128)).toBe(2n ** 128n - 1n);
  });
});

describe('rangePrefixes', () => {
  it('makes up exactly the range, with as few prefixes as two borders need', () => {
    const address = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n });
    fc.assert(
      fc.property(address, address, (a, b) => {
        const range = a < b ? { first: a, last: b } : { first: b, last: a };
        const prefixes = rangePrefixes(4, range);
        const ranges = prefixes.map(({ first, prefix }) => prefixRange(4, formatAddress(4, first), prefix));
        expect(mergeRanges(ranges.flatMap((one) => (one === undefined ? [] : [one])))).toEqual([range]);
        expect(prefixes.length).toBeLessThanOrEqual(62);
      }),
    );
  });
});

describe('mergeRanges', () => {
  it('makes one of what overlaps or touches', () => {
    const ranges = [
      v4('10.1.0.0', 16),
      v4('192.0.2.128', 25),
      v4('10.0.0.0', 8),
      v4('192.0.2.0', 25),
      v4('10.0.0.0', 8),
    ];
    expect(mergeRanges(ranges).map((range) => formatRange(4, range))).toEqual(['10.0.0.0/8', '192.0.2.0/24']);
  });

  it('holds exactly the same addresses, sorted, with gaps between', () => {
    const range = fc
      .tuple(fc.nat(60), fc.nat(6))
      .map(([first, more]) => ({ first: BigInt(first), last: BigInt(first + more) }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), (ranges) => {
        const merged = mergeRanges(ranges);
        for (let address = 0n; address < 70n; address += 1n) {
          const holds = (one: { first: bigint; last: bigint }) => one.first <= address && address <= one.last;
          expect(merged.some(holds)).toBe(ranges.some(holds));
          expect(isWithin(merged, address)).toBe(ranges.some(holds));
        }
        for (const [index, one] of merged.entries()) {
          const next = merged[index + 1];
          if (next !== undefined) expect(next.first).toBeGreaterThan(one.last + 1n);
        }
      }),
    );
  });
});
