import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addressIn,
  cidrText,
  containsCidr,
  parseCidr,
  parseCidrSelection,
  parseCidrs,
  parseLoopbackRange,
} from './cidr.ts';
import { parseGroups, parseIds } from './ids.ts';
import { parseInterfaces } from './interfaces.ts';
import { type Parser, TEXT_CHARACTERS_MAX, trimmed } from './parsed.ts';
import { parsePort, parsePortSelection, parsePorts } from './ports.ts';
import { parseMark, parseRouteTable } from './tproxy.ts';
import { parseBoolean, parseMode } from './words.ts';

/** The value, or `refused`. */
function read<T>(parser: Parser<T>, raw: string): T | 'refused' {
  const parsed = parser(raw);
  return parsed.ok ? parsed.value : 'refused';
}

describe('ports', () => {
  it.each([
    ['', []],
    ['  ', []],
    ['80', [80]],
    ['443, 80 ,80', [80, 443]],
    ['65535', [65_535]],
  ])('reads %j', (raw, ports) => {
    expect(read(parsePorts, raw)).toEqual(ports);
  });

  it.each([
    '0',
    '080',
    '65536',
    '-1',
    '+1',
    '1e3',
    '0x50',
    '80-90',
    '80,',
    ',80',
    '80,,443',
    '80;443',
    '80 443',
    '*',
    'http',
    '8\n0',
    '８０',
  ])('refuses %j', (raw) => {
    expect(read(parsePorts, raw)).toBe('refused');
  });

  it('takes * only where it means something', () => {
    expect(read(parsePortSelection, ' * ')).toEqual({ all: true });
    expect(read(parsePortSelection, '')).toEqual({ all: false, items: [] });
    expect(read(parsePortSelection, '*,80')).toBe('refused');
    expect(read(parsePort, '*')).toBe('refused');
  });

  it('has a limit', () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => index + 1).join(',');
    expect(read(parsePorts, many(1_024))).toHaveLength(1_024);
    expect(read(parsePorts, many(1_025))).toBe('refused');
    expect(read(parsePorts, '1,'.repeat(1_000_000))).toBe('refused');
  });
});

describe('blanks', () => {
  it('are space, tab and line ends, around elements only', () => {
    expect(read(parsePorts, ' 80 ,\t443\r\n')).toEqual([80, 443]);
    expect(read(parsePorts, ' \t\r\n')).toEqual([]);
    expect(read(parsePortSelection, '*\n')).toEqual({ all: true });
    for (const raw of ['8 0', '80\n443', '8\t0']) expect(read(parsePorts, raw)).toBe('refused');
  });

  it.each(['\u00a0', '\u2028', '\u3000', '\ufeff', '\u200b', '\v', '\f', '\0'])(
    'are not %j: a text that only looks empty is not the empty list',
    (space) => {
      for (const parser of [parsePorts, parseCidrs, parseInterfaces, parsePortSelection, parseCidrSelection])
        for (const raw of [space, `${space}*`, `80${space}`, `eth0,${space}eth1`])
          expect(read<unknown>(parser, raw)).toBe('refused');
    },
  );

  it('take no time, however many', () => {
    const many = `${' '.repeat(TEXT_CHARACTERS_MAX - 2)}x`;
    const startedMs = performance.now();
    expect(trimmed(`${many} `)).toBe('x');
    expect(read(parsePorts, `1,${many}`.slice(0, TEXT_CHARACTERS_MAX))).toEqual('refused');
    expect(read(parsePortSelection, `${many}${' '.repeat(TEXT_CHARACTERS_MAX)}`)).toBe('refused');
    // A regular expression that backtracks takes seconds for this.
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});

describe('ranges', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['192.0.2.1/32', '192.0.2.1/32'],
    ['2001:DB8::1/32', '2001:db8::/32'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001/128', '2001:db8::1/128'],
    ['::/0', '::/0'],
    ['::1/128', '::1/128'],
    ['1::/16', '1::/16'],
    ['2001:db8:0:1:0:0:0:1/128', '2001:db8:0:1::1/128'],
    ['64:ff9b::192.0.2.33/128', '64:ff9b::c000:221/128'],
    ['1:0:0:2:0:0:0:3/128', '1:0:0:2::3/128'],
    ['1:2:3:4:5:6:7:8/128', '1:2:3:4:5:6:7:8/128'],
    ['1:2:3:4:5:6:0:8/128', '1:2:3:4:5:6:0:8/128'],
  ])('makes %s canonical: %s', (raw, canonical) => {
    const cidr = read(parseCidr, raw);
    expect(cidr === 'refused' ? cidr : cidrText(cidr)).toBe(canonical);
  });

  it.each([
    '10.0.0.1',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '010.0.0.0/8',
    '10.0.0/8',
    '0x0a.0.0.0/8',
    '::ffff:10.0.0.0/104',
    '::ffff:a00:0/104',
    'fe80::1%eth0/64',
    '2001:db8::/129',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/-1',
    ' 10.0.0.0 /8',
    '"10.0.0.0/8"',
    '10.0.0.0/8; drop',
    '10.0.0.0/8\n',
    '10.0.0.0/+8',
    '10.0.0.0/8.0',
    '10.0.0.0/1e1',
    '10.0.0.0/ 8',
    '10.0.0.0//8',
    '10.0.0.0/8/8',
    '10.0.0.0-10.0.0.9',
    '10.0.0.0/255.0.0.0',
    '167772160/8',
    '１0.0.0.0/8',
    '::ffff:10.0.0.1/128',
    '0:0:0:0:0:ffff:a00:1/128',
    '1::2::3/64',
    ':::/0',
    '[::]/0',
    '12345::/16',
    '::1.2.3/128',
    'localhost/8',
    '*/0',
  ])('refuses %j', (raw) => {
    expect(read(parseCidr, raw)).toBe('refused');
  });

  it('drops duplicates of the same range in other words, and keeps the order', () => {
    const cidrs = read(parseCidrs, '2001:db8::/32, 10.0.0.0/8,10.9.9.9/8');
    expect(cidrs === 'refused' ? [] : cidrs.map(cidrText)).toEqual(['2001:db8::/32', '10.0.0.0/8']);
  });

  it('takes * only alone, and loopback only within 127.0.0.0/8', () => {
    expect(read(parseCidrSelection, '*')).toEqual({ all: true });
    expect(read(parseCidrs, '*')).toBe('refused');
    expect(read(parseLoopbackRange, '127.1.2.3/16')).toEqual({ family: 4, address: '127.1.0.0', prefix: 16 });
    for (const raw of ['127.0.0.0/7', '10.0.0.0/8', '::1/128', ''])
      expect(read(parseLoopbackRange, raw)).toBe('refused');
  });

  it('parses what it prints, and a range holds each of its addresses and no other', () => {
    const ipv4 = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }));
    const ipv6 = fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 }));
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), fc.bigInt({ min: 0n, max: 2n ** 128n }), ([address, prefix], random) => {
        const cidr = read(parseCidr, `${address}/${prefix}`);
        // Of what fast-check makes only IPv4 in IPv6 form is refused.
        if (cidr === 'refused') return fc.pre(false);
        expect(read(parseCidr, cidrText(cidr))).toEqual(cidr);
        const width = cidr.family === 4 ? 32n : 128n;
        const size = 1n << (width - BigInt(cidr.prefix));
        const inside = read(parseCidr, `${addressIn(cidr, random % size)}/${width}`);
        if (inside === 'refused') return;
        expect(containsCidr(cidr, inside)).toBe(true);
        expect(containsCidr(inside, cidr)).toBe(size === 1n);
      }),
    );
  });
});

describe('interfaces, ids, words', () => {
  it('reads interfaces as Istio allows them', () => {
    expect(read(parseInterfaces, 'eth0, br-vm0.1 ,eth0')).toEqual(['eth0', 'br-vm0.1']);
    for (const raw of ['0eth', 'eth0-too-long-a-name', 'eth*', 'a b', 'eth0;', 'é', '-i', 'eth0,']) {
      expect(read(parseInterfaces, raw)).toBe('refused');
    }
  });

  it('reads numeric ids only', () => {
    expect(read(parseIds, '1337')).toEqual([1337]);
    expect(read(parseIds, '0,4294967294')).toEqual([0, 4_294_967_294]);
    for (const raw of ['', 'istio-proxy', '-1', '01337', '4294967295', '1 337'])
      expect(read(parseIds, raw)).toBe('refused');
  });

  it('reads numeric groups only, and none where nothing is said', () => {
    expect(read(parseGroups, '')).toEqual([]);
    expect(read(parseGroups, '7, 8,7')).toEqual([7, 8]);
    const named = parseGroups('istio-proxy');
    expect(named.ok ? '' : named.allowed).toContain('numeric gid');
    const many = (count: number) => Array.from({ length: count }, (_, index) => index).join(',');
    expect(read(parseGroups, many(64))).toHaveLength(64);
    expect(read(parseGroups, many(65))).toBe('refused');
    expect(read(parseIds, many(17))).toBe('refused');
  });

  it('reads marks and route tables in plain decimal, but not those that are taken', () => {
    expect([read(parseMark, '1'), read(parseMark, '4294967295')]).toEqual([1, 4_294_967_295]);
    expect([read(parseRouteTable, '1'), read(parseRouteTable, '252')]).toEqual([1, 252]);
    expect([read(parseRouteTable, '256'), read(parseRouteTable, '4294967295')]).toEqual([256, 4_294_967_295]);
    const neither = ['', '0', '01337', '0x539', '-1', '+1', ' 1', '1e3', '4294967296', '1.5', '1337/0xff', 'main'];
    for (const raw of neither)
      expect([read(parseMark, raw), read(parseRouteTable, raw)]).toEqual(['refused', 'refused']);
    expect(read(parseMark, '1338')).toBe('refused');
    for (const raw of ['253', '254', '255']) expect(read(parseRouteTable, raw)).toBe('refused');
  });

  it('reads modes and booleans as Istio does', () => {
    expect(read(parseMode, 'REDIRECT')).toBe('REDIRECT');
    for (const raw of ['redirect', 'tproxy', '', ' NONE']) expect(read(parseMode, raw)).toBe('refused');
    expect(['1', 't', 'True', '0', 'F'].map((raw) => read(parseBoolean, raw))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    for (const raw of ['yes', 'tRUE', '', ' true']) expect(read(parseBoolean, raw)).toBe('refused');
  });
});

describe('every parser', () => {
  const parsers: Parser<unknown>[] = [
    parseBoolean,
    parseCidr,
    parseCidrs,
    parseCidrSelection,
    parseGroups,
    parseIds,
    parseInterfaces,
    parseLoopbackRange,
    parseMark,
    parseMode,
    parsePort,
    parsePorts,
    parsePortSelection,
    parseRouteTable,
  ];
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.stringMatching(/^[0-9a-fA-F:.,/*%\s"';{}-]{0,60}$/),
    fc
      .array(fc.constantFrom('1', '0', ',', ':', '::', '.', '/', '*', '%', 'ffff', '\n', '"', '}'), { maxLength: 30 })
      .map((parts) => parts.join('')),
  );

  it('answers any text, and a refusal says what is allowed', () => {
    fc.assert(
      fc.property(hostile, (raw) => {
        for (const parser of parsers) {
          const parsed = parser(raw);
          if (!parsed.ok) expect(parsed.allowed.length).toBeGreaterThan(3);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
