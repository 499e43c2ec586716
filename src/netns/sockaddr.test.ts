import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonical, readSockaddr, sockaddr } from './sockaddr.ts';

describe('sockaddr', () => {
  it('is laid out as the kernel has it', () => {
    expect(sockaddr(4, { address: '192.0.2.1', port: 15001 }).toString('hex')).toBe('02003a99c00002010000000000000000');
    expect(sockaddr(6, { address: '2001:db8::1', port: 80 }).toString('hex')).toBe(
      `0a00005000000000${'20010db8000000000000000000000001'}00000000`,
    );
  });

  it('comes back as it went, in the shortest form', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.nat(65_535), (address, port) => {
        expect(readSockaddr(6, sockaddr(6, { address, port }))).toEqual({ address: canonical(address), port });
      }),
    );
    fc.assert(
      fc.property(fc.ipV4(), fc.nat(65_535), (address, port) => {
        expect(readSockaddr(4, sockaddr(4, { address, port }))).toEqual({ address, port });
      }),
    );
  });

  it('knows one spelling per address', () => {
    expect(canonical('2001:DB8:0:0:0:0:0:1')).toBe('2001:db8::1');
    expect(canonical('::FFFF:192.0.2.1')).toBe(canonical('::ffff:c000:201'));
    expect(canonical('192.0.2.1')).toBe('192.0.2.1');
  });
});
