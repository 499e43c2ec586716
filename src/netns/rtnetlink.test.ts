import { describe, expect, it } from 'vitest';
import { errorOf, messagesOf } from './netlink.ts';
import { aliasOf, getLink, setAlias } from './rtnetlink.ts';

/** Bytes as `strace -e write=all ip link set lo alias ab` shows them: header, ifinfomsg, attribute. */
describe('requests', () => {
  it('set the alias of interface 1', () => {
    expect(setAlias('ab').toString('hex')).toBe(
      '28000000' +
        '1300' +
        '0500' +
        '01000000' +
        '00000000' +
        '00000000' +
        '01000000' +
        '0000000000000000' +
        '0600' +
        '1400' +
        '61620000',
    );
  });

  it('remove it with an empty attribute', () => {
    expect(setAlias('').toString('hex').slice(-8)).toBe('04001400');
  });

  it('ask for interface 1 without statistics', () => {
    expect(getLink().toString('hex').slice(-16)).toBe('08001d00' + '08000000');
  });
});

describe('replies', () => {
  const attribute = (type: number, text: string) => {
    const value = Buffer.from(text);
    const buffer = Buffer.alloc(4 + ((value.length + 3) & ~3));
    buffer.writeUInt16LE(4 + value.length, 0);
    buffer.writeUInt16LE(type, 2);
    value.copy(buffer, 4);
    return buffer;
  };
  const message = (type: number, body: Buffer) => {
    const header = Buffer.alloc(16);
    header.writeUInt32LE(16 + body.length, 0);
    header.writeUInt16LE(type, 4);
    return Buffer.concat([header, body]);
  };

  it('are taken apart, and a cut tail is left out', () => {
    const whole = message(2, Buffer.from('feffffff', 'hex'));
    const messages = messagesOf(Buffer.concat([whole, message(16, Buffer.alloc(16)), whole.subarray(0, 18)]));
    expect(messages.map(({ type }) => type)).toEqual([2, 16]);
    expect(messages[0] === undefined ? undefined : errorOf(messages[0])).toBe(-2);
  });

  it('hold the alias among other attributes', () => {
    const body = Buffer.concat([Buffer.alloc(16), attribute(3, 'lo\0'), attribute(20, 'mine\0'), attribute(13, 'x')]);
    expect(aliasOf({ body })).toBe('mine');
    expect(aliasOf({ body: body.subarray(0, 24) })).toBe('');
    expect(aliasOf({ body: body.subarray(0, 30) })).toBe('');
  });
});
