import { create, fromBinary, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { cutToBytes } from '../../cut-text.ts';
import { messageOf } from '../../errors.ts';
import { type Request, RequestSchema, type Response, ResponseSchema, StatusSchema } from './gen/ttrpc_pb.ts';
import { wireError } from './wire-error.ts';

/** One message of ttrpc: `u32 length | u32 stream id | u8 type | u8 flags | data`, big endian. */
export interface TtrpcFrame {
  /** Odd, rising, chosen by the caller; the response repeats it. */
  readonly streamId: number;
  readonly type: number;
  readonly data: Buffer;
}

export interface TtrpcReader {
  /** Hands on the frames that end in `bytes`. Throws `RuntimeReply` for a length that cannot be. */
  push(bytes: Buffer): void;
}

export const REQUEST_TYPE = 1;
export const RESPONSE_TYPE = 2;

/** Of gRPC's codes. */
export const FAILED_PRECONDITION = 9;
export const UNIMPLEMENTED = 12;

const HEADER_BYTES = 10;
/** ttrpc's own limit. */
export const DATA_BYTES_MAX = 4 * 1024 * 1024;
/** It ends as an event of the pod, which kubelet cuts at 1 kB. */
const STATUS_TEXT_BYTES_MAX = 1_024;

export function createTtrpcReader(take: (frame: TtrpcFrame) => void): TtrpcReader {
  const header = Buffer.alloc(HEADER_BYTES);
  let headerFilled = 0;
  /** The data of a frame that spans pushes. */
  let data: Buffer | undefined;
  let dataFilled = 0;

  function finish(bytes: Buffer): void {
    headerFilled = 0;
    data = undefined;
    take({ streamId: header.readUInt32BE(4), type: header.readUInt8(8), data: bytes });
  }

  /** Header complete: the data begins at `at`. How many bytes of it were used. */
  function beginData(bytes: Buffer, at: number): number {
    const length = header.readUInt32BE(0);
    if (length > DATA_BYTES_MAX) throw wireError(`announces a message of ${length} bytes, at most ${DATA_BYTES_MAX}`);
    const available = bytes.length - at;
    if (available >= length) {
      finish(bytes.subarray(at, at + length));
      return length;
    }
    data = Buffer.allocUnsafe(length);
    dataFilled = bytes.copy(data, 0, at);
    return available;
  }

  return {
    push: (bytes) => {
      let at = 0;
      while (at < bytes.length) {
        if (data !== undefined) {
          const used = bytes.copy(data, dataFilled, at);
          dataFilled += used;
          at += used;
          if (dataFilled === data.length) finish(data);
          continue;
        }
        const used = bytes.copy(header, headerFilled, at, at + HEADER_BYTES - headerFilled);
        headerFilled += used;
        at += used;
        if (headerFilled === HEADER_BYTES) at += beginData(bytes, at);
      }
    },
  };
}

/** What has no field here is skipped, not kept: the runtimes send much more than is read of it. */
export function decode<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (error: unknown) {
    throw wireError(`sent a ${schema.typeName} that cannot be read: ${messageOf(error)}`, error);
  }
}

export function decodeRequest(frame: TtrpcFrame): Request {
  return decode(RequestSchema, frame.data);
}

/** No data at all is a response too: success, empty. */
export function decodeResponse(frame: TtrpcFrame): Response {
  return decode(ResponseSchema, frame.data);
}

export function encodeRequest(
  streamId: number,
  call: {
    readonly service: string;
    readonly method: string;
    readonly payload: Uint8Array;
    readonly timeoutNano?: bigint;
  },
): Buffer {
  return encodeFrame(streamId, REQUEST_TYPE, toBinary(RequestSchema, create(RequestSchema, call)));
}

export function encodeReply(streamId: number, payload: Uint8Array): Buffer {
  return encodeFrame(streamId, RESPONSE_TYPE, toBinary(ResponseSchema, create(ResponseSchema, { payload })));
}

export function encodeFailure(streamId: number, code: number, message: string): Buffer {
  const status = create(StatusSchema, { code, message: cutToBytes(message, STATUS_TEXT_BYTES_MAX) });
  return encodeFrame(streamId, RESPONSE_TYPE, toBinary(ResponseSchema, create(ResponseSchema, { status })));
}

function encodeFrame(streamId: number, type: number, data: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + data.length);
  let at = frame.writeUInt32BE(data.length, 0);
  at = frame.writeUInt32BE(streamId, at);
  at = frame.writeUInt8(type, at);
  at = frame.writeUInt8(0, at);
  frame.set(data, at);
  return frame;
}
