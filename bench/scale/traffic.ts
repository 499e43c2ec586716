import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';

/** Counts what every HTTP client of this process receives and sends, inside TLS, without standing in its way. */
export function countTraffic(): () => { readonly receivedBytes: number; readonly sentBytes: number } {
  const live = new Set<Socket>();
  const ended = { receivedBytes: 0, sentBytes: 0 };
  subscribe('http.client.request.created', (message) => {
    const { request } = message as { readonly request: ClientRequest };
    request.once('socket', (socket) => {
      if (live.has(socket)) return;
      live.add(socket);
      socket.once('close', () => {
        live.delete(socket);
        ended.receivedBytes += socket.bytesRead;
        ended.sentBytes += socket.bytesWritten;
      });
    });
  });
  return () => {
    const sum = { ...ended };
    for (const socket of live) {
      sum.receivedBytes += socket.bytesRead;
      sum.sentBytes += socket.bytesWritten;
    }
    return sum;
  };
}
