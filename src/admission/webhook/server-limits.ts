import type { Socket } from 'node:net';
import type { BodyLimits } from './request-body.ts';
import { createShares, type ShareLimits } from './shares.ts';

/** Bounds of the server; tests shorten them. */
export interface ServerLimits {
  readonly body: BodyLimits;
  readonly connections: ShareLimits;
  /** Whose body is there: a body that is still coming must not keep others from being answered. */
  readonly reviews: ShareLimits;
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
  body: {
    bytesMax: 3 * MEBIBYTE,
    held: { max: 8 * MEBIBYTE, perAddressMax: 4 * MEBIBYTE },
    largeBytes: MEBIBYTE / 2,
    large: { max: 2, perAddressMax: 1 },
    valuesMax: 200_000,
  },
  connections: { max: 256, perAddressMax: 64 },
  reviews: { max: 64, perAddressMax: 32 },
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  idleTimeoutMs: 120_000,
};

/** Anybody in the cluster may reach the port; nobody may take all of it. */
export function limitConnections({ connections }: ServerLimits): (socket: Socket) => void {
  const shares = createShares(connections);
  return (socket) => {
    const address = socket.remoteAddress ?? '';
    if (!shares.take(address, 1)) return void socket.destroy();
    socket.once('close', () => shares.give(address, 1));
  };
}
