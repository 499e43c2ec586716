import type { Socket } from 'node:net';
import type { BodyLimits } from './request-body.ts';

/** Bounds of the server; tests shorten them. */
export interface ServerLimits {
  readonly body: BodyLimits;
  readonly connectionsMax: number;
  /** From one address: what one pod can take up of `connectionsMax`. */
  readonly connectionsPerAddressMax: number;
  readonly reviewsMax: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

const MEBIBYTE = 1024 * 1024;

/**
 * The API server takes and sends on bodies up to 3 MiB (twice etcd's 1.5 MiB; MaxRequestBodyBytes in apiserver/pkg/server/config.go), and a
 * pod of more than 1.5 MiB could not be stored. It gives up after the configuration's 5 s, and drops idle connections after 90 s
 * (IdleConnTimeout of client-go): ours must live longer, or a request could meet a connection that is just being closed.
 */
export const SERVER_LIMITS: ServerLimits = {
  body: { bytesMax: 3 * MEBIBYTE, totalBytesMax: 8 * MEBIBYTE, largeBytes: MEBIBYTE / 2, valuesMax: 200_000 },
  connectionsMax: 256,
  connectionsPerAddressMax: 64,
  reviewsMax: 64,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  idleTimeoutMs: 120_000,
};

/** Anybody in the cluster may reach the port; nobody may take all of it. */
export function limitPerAddress({ connectionsPerAddressMax }: ServerLimits): (socket: Socket) => void {
  const open = new Map<string, number>();
  return (socket) => {
    const address = socket.remoteAddress ?? '';
    const count = (open.get(address) ?? 0) + 1;
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
    if (count > connectionsPerAddressMax) socket.destroy();
  };
}
