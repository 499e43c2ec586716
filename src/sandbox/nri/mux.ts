import { wireError } from './wire-error.ts';

/**
 * The multiplexer under NRI: two byte streams over one socket, in frames of `u32 connection | u32 length | payload`, big endian.
 * Opening a stream sends nothing. A message may span frames, and a frame may hold several.
 */
export interface MuxReader {
  /** Hands on what `chunk` holds of each stream, as views of it. Throws `RuntimeReply` for a length that cannot be. */
  push(chunk: Buffer): void;
}

/** The stream on which the runtime calls the plugin. */
export const PLUGIN_STREAM = 1;
/** The stream on which the plugin calls the runtime. */
export const RUNTIME_STREAM = 2;

const HEADER_BYTES = 8;
/** A whole ttrpc message with its header: what the runtimes write at once. */
export const INBOUND_PAYLOAD_BYTES_MAX = 4 * 1024 * 1024 + 10;
/** The runtimes read each payload by one Read into a bufio buffer of this size: a larger one ends in ENOMEM at their side, untold. */
export const OUTBOUND_PAYLOAD_BYTES_MAX = 4_096;

export function createMuxReader(
  take: (stream: number, bytes: Buffer) => void,
  payloadBytesMax = INBOUND_PAYLOAD_BYTES_MAX,
): MuxReader {
  const header = Buffer.alloc(HEADER_BYTES);
  let headerFilled = 0;
  let stream = 0;
  let left = 0;

  /** How many bytes of `chunk` were used. */
  function readHeader(chunk: Buffer, at: number): number {
    const used = chunk.copy(header, headerFilled, at, at + HEADER_BYTES - headerFilled);
    headerFilled += used;
    if (headerFilled < HEADER_BYTES) return used;
    headerFilled = 0;
    stream = header.readUInt32BE(0);
    left = header.readUInt32BE(4);
    if (left > payloadBytesMax) {
      throw wireError(`announces a frame of ${left} bytes, at most ${payloadBytesMax}`);
    }
    return used;
  }

  return {
    push: (chunk) => {
      let at = 0;
      while (at < chunk.length) {
        if (left === 0) {
          at += readHeader(chunk, at);
          continue;
        }
        const end = Math.min(at + left, chunk.length);
        left -= end - at;
        // Streams nobody opened are dropped, as the runtimes drop them.
        if (stream === PLUGIN_STREAM || stream === RUNTIME_STREAM) take(stream, chunk.subarray(at, end));
        at = end;
      }
    },
  };
}

/** `bytes` in frames, to be written as they are. */
export function muxFrames(stream: number, bytes: Buffer): Buffer {
  const count = Math.ceil(bytes.length / OUTBOUND_PAYLOAD_BYTES_MAX);
  const frames = Buffer.allocUnsafe(bytes.length + count * HEADER_BYTES);
  let at = 0;
  for (let start = 0; start < bytes.length; start += OUTBOUND_PAYLOAD_BYTES_MAX) {
    const end = Math.min(start + OUTBOUND_PAYLOAD_BYTES_MAX, bytes.length);
    at = frames.writeUInt32BE(stream, at);
    at = frames.writeUInt32BE(end - start, at);
    at += bytes.copy(frames, at, start, end);
  }
  return frames;
}
