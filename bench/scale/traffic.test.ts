import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage } from 'node:http';
import { expect, it } from 'vitest';
import { countTraffic } from './traffic.ts';

const BODY = 'x'.repeat(10_000);

it('counts what connections receive, those that are open and those that have ended, each once', async () => {
  const traffic = countTraffic();
  const server = createServer((_request, response) => response.end(BODY)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const agent = new Agent({ keepAlive: true });
  const ask = async () => {
    const [response]: IncomingMessage[] = await once(get({ host: '127.0.0.1', port, agent }), 'response');
    if (response === undefined) throw new Error('no answer');
    // It leaves the answer when that is over, and stays open for the next.
    const { socket } = response;
    response.resume();
    await once(response, 'end');
    return socket;
  };

  await ask();
  const one = traffic();
  const socket = await ask();
  const two = traffic();
  socket.destroy();
  await once(socket, 'close');
  agent.destroy();
  const afterTheEnd = traffic();
  server.close();

  expect(one.receivedBytes).toBeGreaterThan(BODY.length);
  expect(one.receivedBytes).toBeLessThan(BODY.length + 1_000);
  expect(two.receivedBytes).toBe(2 * one.receivedBytes);
  expect(two.sentBytes).toBe(2 * one.sentBytes);
  expect(afterTheEnd).toStrictEqual(two);
});
