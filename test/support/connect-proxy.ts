import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** A proxy for CONNECT on loopback. */
export interface Proxy {
  readonly url: string;
  /** Where it was asked to connect to. */
  readonly asked: readonly string[];
  /** Ends every connection through it, as a proxy does that is restarted. */
  cut(): void;
  close(): void;
}

export async function connectProxy(): Promise<Proxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer();
  server.on('connect', (request, client: Socket, head) => {
    asked.push(request.url ?? '');
    const [host = '', port = ''] = (request.url ?? '').split(':');
    const through = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      through.write(head);
      through.pipe(client);
      client.pipe(through);
    });
    for (const socket of [client, through]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        through.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    cut,
    close: () => {
      cut();
      server.close();
    },
  };
}
