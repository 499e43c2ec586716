import { toBinary, create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PodSandboxSchema } from './gen/nri_pb.ts';
import { muxFrames, PLUGIN_STREAM } from './mux.ts';
import { RECORDED } from './recorded.ts';
import {
  createTtrpcReader,
  DATA_BYTES_MAX,
  decode,
  decodeRequest,
  decodeResponse,
  encodeFailure,
  encodeReply,
  encodeRequest,
  FAILED_PRECONDITION,
  type TtrpcFrame,
} from './ttrpc.ts';

function readFrames(chunks: readonly Buffer[]): readonly TtrpcFrame[] {
  const frames: TtrpcFrame[] = [];
  const reader = createTtrpcReader((frame) => frames.push({ ...frame, data: Buffer.from(frame.data) }));
  for (const chunk of chunks) reader.push(chunk);
  return frames;
}

describe('ttrpc', () => {
  it('reads the calls of a runtime, cut at every byte', () => {
    const wire = Buffer.concat([RECORDED.configure.subarray(8), RECORDED.synchronize.subarray(8)]);
    for (let cut = 0; cut <= wire.length; cut += 1) {
      const frames = readFrames([wire.subarray(0, cut), wire.subarray(cut)]);
      expect(frames.map(({ streamId, type }) => ({ streamId, type }))).toEqual([
        { streamId: 1, type: 1 },
        { streamId: 3, type: 1 },
      ]);
      const calls = frames.map(decodeRequest);
      expect(calls.map(({ method, timeoutNano }) => [method, timeoutNano])).toEqual([
        ['Configure', 1_999_629_744n],
        ['Synchronize', 1_999_938_613n],
      ]);
    }
  });

  it('gives back any frames in any cuts', () => {
    const frame = fc.record({ streamId: fc.nat({ max: 0xffff_fffe }), payload: fc.uint8Array({ maxLength: 3_000 }) });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.integer({ min: 1, max: 700 }), (sent, step) => {
        const wire = Buffer.concat(sent.map(({ streamId, payload }) => encodeReply(streamId, payload)));
        const chunks = Array.from({ length: Math.ceil(wire.length / step) }, (_, index) =>
          wire.subarray(index * step, (index + 1) * step),
        );
        const read = readFrames(chunks).map((got) => ({
          streamId: got.streamId,
          payload: new Uint8Array(decodeResponse(got).payload),
        }));
        expect(read).toEqual(sent.map(({ streamId, payload }) => ({ streamId, payload: new Uint8Array(payload) })));
      }),
      { numRuns: 100 },
    );
  });

  it('does not believe a length beyond the protocol, even before the data is there', () => {
    for (const length of [DATA_BYTES_MAX + 1, 0xffff_ffff]) {
      const header = Buffer.alloc(10);
      header.writeUInt32BE(length, 0);
      expect(() => readFrames([header])).toThrow(
        expect.objectContaining({ code: 'RuntimeReply', message: expect.stringContaining(`${length} bytes`) }),
      );
    }
  });

  it('takes a response without data for a success', () => {
    const [frame] = readFrames([RECORDED.registered.subarray(8)]);
    expect(frame).toMatchObject({ streamId: 1, type: 2 });
    expect(frame && decodeResponse(frame)).toMatchObject({ payload: new Uint8Array(0) });
    expect(frame && decodeResponse(frame).status).toBeUndefined();
  });

  it('refuses by the very bytes that made containerd refuse', () => {
    const refusal = encodeFailure(7, FAILED_PRECONDITION, 'no rules yet');
    expect(muxFrames(PLUGIN_STREAM, refusal).toString('hex')).toBe(RECORDED.refused.toString('hex'));
  });

  it('cuts the text of a refusal to what an event of a pod holds', () => {
    const [frame] = readFrames([encodeFailure(7, FAILED_PRECONDITION, 'ä'.repeat(5_000))]);
    const message = frame === undefined ? '' : (decodeResponse(frame).status?.message ?? '');
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(1_024);
    expect(message).toMatch(/^ä+…$/);
  });

  it('carries the whole range of 64 bits', () => {
    for (const timeoutNano of [0n, 1n, 2n ** 62n, -1n, -(2n ** 63n), 2n ** 63n - 1n]) {
      const wire = encodeRequest(1, { service: 's', method: 'm', payload: new Uint8Array(0), timeoutNano });
      expect(readFrames([wire]).map(decodeRequest)[0]?.timeoutNano).toBe(timeoutNano);
    }
  });

  it('says what could not be read', () => {
    // A varint of eleven bytes; a length beyond the end; a group that does not end; a wire type there is not.
    for (const broken of ['20ffffffffffffffffffffff01', '0a7f61', '0b', '07']) {
      const data = Buffer.from(broken, 'hex');
      expect(() => decodeRequest({ streamId: 1, type: 1, data }), broken).toThrow(
        expect.objectContaining({
          code: 'RuntimeReply',
          message: expect.stringContaining('a ttrpc.Request that cannot'),
        }),
      );
    }
  });

  it('throws nothing but that for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decode(PodSandboxSchema, bytes);
        } catch (error: unknown) {
          expect(error).toMatchObject({ code: 'RuntimeReply' });
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('skips fields it does not know, and takes keys that mean something to JavaScript for keys', () => {
    const labels = { constructor: 'a', ['__proto__']: 'b' };
    const known = toBinary(PodSandboxSchema, create(PodSandboxSchema, { id: 'x', labels }));
    // Field 100 as a varint, field 101 as text, field 8.6 (resources).
    const unknown = Buffer.from('a00601aa060161420332017a', 'hex');
    const pod = decode(PodSandboxSchema, Buffer.concat([unknown, known, unknown]));
    expect(pod.id).toBe('x');
    expect(new Map(Object.entries(pod.labels))).toEqual(new Map(Object.entries(labels)));
    expect(pod.$unknown).toBeUndefined();
  });
});
