import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMuxReader, INBOUND_PAYLOAD_BYTES_MAX, muxFrames, PLUGIN_STREAM, RUNTIME_STREAM } from './mux.ts';
import { RECORDED } from './recorded.ts';

/** The bytes of each stream, after `chunks` were read. */
function readStreams(chunks: readonly Buffer[]): { readonly plugin: Buffer; readonly runtime: Buffer } {
  const streams = new Map<number, Buffer[]>([
    [PLUGIN_STREAM, []],
    [RUNTIME_STREAM, []],
  ]);
  const reader = createMuxReader((stream, bytes) => streams.get(stream)?.push(Buffer.from(bytes)));
  for (const chunk of chunks) reader.push(chunk);
  const all = (stream: number) => Buffer.concat(streams.get(stream) ?? []);
  return { plugin: all(PLUGIN_STREAM), runtime: all(RUNTIME_STREAM) };
}

describe('the multiplexer', () => {
  it('reads what a runtime sent, however the socket cut it: at every byte, and all at once', () => {
    const wire = Buffer.concat([RECORDED.registered, RECORDED.configure, RECORDED.synchronize]);
    const plugin = Buffer.concat([RECORDED.configure.subarray(8), RECORDED.synchronize.subarray(8)]);
    const runtime = RECORDED.registered.subarray(8);
    for (let cut = 0; cut <= wire.length; cut += 1) {
      expect(readStreams([wire.subarray(0, cut), wire.subarray(cut)])).toEqual({ plugin, runtime });
    }
    expect(readStreams([...wire].map((byte) => Buffer.of(byte)))).toEqual({ plugin, runtime });
  });

  it('gives back what was framed, for any bytes on both streams and any cuts', () => {
    const piece = fc.record({
      stream: fc.constantFrom(PLUGIN_STREAM, RUNTIME_STREAM),
      bytes: fc.uint8Array({ maxLength: 9_000 }),
    });
    const cuts = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), cuts, (pieces, steps) => {
        const wire = Buffer.concat(pieces.map(({ stream, bytes }) => muxFrames(stream, Buffer.from(bytes))));
        const of = (wanted: number) =>
          Buffer.concat(pieces.filter(({ stream }) => stream === wanted).map(({ bytes }) => bytes));
        const expected = { plugin: of(PLUGIN_STREAM), runtime: of(RUNTIME_STREAM) };
        expect(readStreams(cutInto(wire, steps))).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });

  it('drops streams that nobody opened, and goes on behind them', () => {
    const strange = [0, 3, 0xffff_ffff].map((stream) => muxFrames(stream, Buffer.from('unknown')));
    const known = muxFrames(PLUGIN_STREAM, Buffer.from('known'));
    const taken: [number, string][] = [];
    const reader = createMuxReader((stream, bytes) => taken.push([stream, bytes.toString()]));
    reader.push(Buffer.concat([...strange, known]));
    expect(taken).toEqual([[PLUGIN_STREAM, 'known']]);
  });

  it('takes a frame without payload', () => {
    const empty = Buffer.from('0000000100000000', 'hex');
    expect(readStreams([Buffer.concat([empty, muxFrames(1, Buffer.from('x')), empty])]).plugin.toString()).toBe('x');
  });

  it('does not believe a length that no runtime sends, even before the payload is there', () => {
    for (const length of [INBOUND_PAYLOAD_BYTES_MAX + 1, 0x8000_0000, 0xffff_ffff]) {
      const header = Buffer.alloc(8);
      header.writeUInt32BE(1, 0);
      header.writeUInt32BE(length, 4);
      expect(() => readStreams([header])).toThrow(
        expect.objectContaining({ code: 'RuntimeReply', message: expect.stringContaining(`${length} bytes`) }),
      );
    }
  });

  it('takes the largest frame a runtime sends', () => {
    const header = Buffer.alloc(8);
    header.writeUInt32BE(1, 0);
    header.writeUInt32BE(INBOUND_PAYLOAD_BYTES_MAX, 4);
    const payload = Buffer.alloc(INBOUND_PAYLOAD_BYTES_MAX, 7);
    expect(readStreams([header, payload]).plugin.equals(payload)).toBe(true);
  });

  it('never sends a payload of more than 4096 bytes, which a runtime could not read', () => {
    const bytes = Buffer.alloc(600_000, 1);
    const frames = muxFrames(PLUGIN_STREAM, bytes);
    const lengths: number[] = [];
    for (let at = 0; at < frames.length; at += 8 + (lengths.at(-1) ?? 0)) lengths.push(frames.readUInt32BE(at + 4));
    expect(Math.max(...lengths)).toBe(4_096);
    expect(lengths.length).toBe(147);
    expect(readStreams([frames]).plugin.equals(bytes)).toBe(true);
  });
});

function cutInto(wire: Buffer, steps: readonly number[]): readonly Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, index = 0; at < wire.length; index += 1) {
    const step = steps[index % steps.length] ?? 1;
    chunks.push(wire.subarray(at, at + step));
    at += step;
  }
  return chunks;
}
