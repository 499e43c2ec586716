import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { textWithin } from './text-within.ts';

describe('a stream as text within a bound', () => {
  it('is whole up to the last byte allowed, with characters that two chunks share', async () => {
    const [first, second] = [Buffer.from([0xc3]), Buffer.from([0xa4])];

    expect(await textWithin(Readable.from([first, second]), 2)).toBe('ä');
  });

  it('is nothing one byte above it, and the stream is let go of', async () => {
    const stream = Readable.from([Buffer.alloc(2), Buffer.alloc(1), Buffer.alloc(1)]);

    expect(await textWithin(stream, 2)).toBeUndefined();
    expect(stream.destroyed).toBe(true);
  });

  it('rejects as the stream does', async () => {
    const stream = new Readable({ read: () => stream.destroy(new Error('reset')) });

    await expect(textWithin(stream, 2)).rejects.toThrow('reset');
  });
});
