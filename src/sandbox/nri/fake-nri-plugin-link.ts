import type { Socket } from 'node:net';
import { RegisterPluginRequestSchema } from './gen/nri_pb.ts';
import { createMuxReader, muxFrames, OUTBOUND_PAYLOAD_BYTES_MAX, PLUGIN_STREAM, RUNTIME_STREAM } from './mux.ts';
import {
  createTtrpcReader,
  decode,
  decodeRequest,
  decodeResponse,
  encodeFailure,
  encodeReply,
  encodeRequest,
  type TtrpcFrame,
} from './ttrpc.ts';

/** The fake runtime's end of one connection: caller of the plugin, callee of its registration. */
export interface PluginLink {
  /** Resolves with what the plugin registers as. */
  readonly registration: Promise<{ readonly name: string; readonly index: string }>;
  /** Resolves when the connection ends. */
  readonly closed: Promise<void>;
  answerRegistration(refusal?: string): void;
  /** As the runtimes do, closes the connection when there is no answer in time. */
  call(method: string, payload: Uint8Array, timeoutMs?: number): Promise<PluginReply>;
  /** Bytes as they are. */
  write(bytes: Buffer): void;
  close(): void;
}

export interface PluginReply {
  /** 0: success. */
  readonly code: number;
  readonly message: string;
  readonly payload: Uint8Array;
}

const PLUGIN_SERVICE = 'nri.pkg.api.v1alpha1.Plugin';

export function linkPlugin(
  socket: Socket,
  options: { readonly requestTimeoutMs: number; readonly chunkBytes?: number },
): PluginLink {
  const registration = Promise.withResolvers<{ readonly name: string; readonly index: string }>();
  const closed = Promise.withResolvers<void>();
  const pending = new Map<number, { resolve(reply: PluginReply): void; reject(error: Error): void }>();
  let registrationStreamId = 0;
  let nextStreamId = 1;

  function write(bytes: Buffer): void {
    const step = options.chunkBytes ?? bytes.length;
    for (let at = 0; at < bytes.length; at += step) socket.write(bytes.subarray(at, at + step));
  }

  const registrations = createTtrpcReader((frame: TtrpcFrame) => {
    const { method, payload } = decodeRequest(frame);
    registrationStreamId = frame.streamId;
    if (method !== 'RegisterPlugin') throw new Error(`the plugin calls ${method}`);
    const { pluginName, pluginIdx } = decode(RegisterPluginRequestSchema, payload);
    registration.resolve({ name: pluginName, index: pluginIdx });
  });
  const replies = createTtrpcReader((frame: TtrpcFrame) => {
    const { status, payload } = decodeResponse(frame);
    const waiting = pending.get(frame.streamId);
    if (waiting === undefined)
      throw new Error(`the plugin answers the stream ${frame.streamId}, which waits for nothing`);
    pending.delete(frame.streamId);
    waiting.resolve({ code: status?.code ?? 0, message: status?.message ?? '', payload });
  });
  const mux = createMuxReader(
    (stream, bytes) => (stream === RUNTIME_STREAM ? registrations : replies).push(bytes),
    // bufio's buffer: what does not fit into it is ENOMEM.
    OUTBOUND_PAYLOAD_BYTES_MAX,
  );
  socket.on('data', (chunk) => {
    try {
      mux.push(chunk);
    } catch {
      socket.destroy();
    }
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    for (const waiting of pending.values()) waiting.reject(new Error('ttrpc: closed'));
    pending.clear();
    closed.resolve();
  });

  return {
    registration: registration.promise,
    closed: closed.promise,
    answerRegistration: (refusal) => {
      const reply =
        refusal === undefined
          ? encodeReply(registrationStreamId, new Uint8Array(0))
          : encodeFailure(registrationStreamId, 2, refusal);
      write(muxFrames(RUNTIME_STREAM, reply));
    },
    call: async (method, payload, timeoutMs = options.requestTimeoutMs) => {
      const streamId = nextStreamId;
      nextStreamId += 2;
      const { promise, resolve, reject } = Promise.withResolvers<PluginReply>();
      pending.set(streamId, { resolve, reject });
      const timer = setTimeout(() => socket.destroy(), timeoutMs);
      const timeoutNano = BigInt(Math.round(timeoutMs * 1e6));
      const request = { service: PLUGIN_SERVICE, method, payload, timeoutNano };
      write(muxFrames(PLUGIN_STREAM, encodeRequest(streamId, request)));
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
      }
    },
    write,
    close: () => socket.destroy(),
  };
}
