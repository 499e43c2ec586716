import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions, request as httpsRequest } from 'node:https';
import { errnoOf } from '../errors.ts';

/** Kept connections to one server. */
export interface Connections {
  /** Sends and gives the answer once its headers are there. */
  open(url: URL, options: OpenOptions): Promise<IncomingMessage>;
  close(): void;
}

export interface OpenOptions {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: string | undefined;
  /** PEM; used for `https:` only. */
  readonly ca: string;
  readonly signal: AbortSignal;
}

/** Two watches and a write per worker stay far below; beyond it requests wait their turn within their own deadlines. */
const SOCKETS_MAX = 32;

export function createConnections(): Connections {
  const plain = new HttpAgent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  let secure: { readonly ca: string; readonly agent: HttpsAgent } | undefined;

  /** A new CA means a new pool: kept connections were checked against the old one. */
  function secureAgent(ca: string): HttpsAgent {
    if (secure?.ca !== ca) {
      secure?.agent.destroy();
      secure = { ca, agent: new HttpsAgent({ keepAlive: true, maxSockets: SOCKETS_MAX, ca }) };
    }
    return secure.agent;
  }

  async function open(url: URL, options: OpenOptions): Promise<IncomingMessage> {
    const agent = url.protocol === 'http:' ? plain : secureAgent(options.ca);
    try {
      return await send(url, agent, options);
    } catch (error: unknown) {
      // What made this connection fail has probably taken the idle ones too; else each would cost a request its whole deadline.
      dropIdle(agent);
      if (!(error instanceof StaleConnectionError) || options.signal.aborted) throw error;
      return await send(url, agent, options);
    }
  }

  return {
    open,
    close: () => {
      plain.destroy();
      secure?.agent.destroy();
    },
  };
}

/**
 * The server closed a kept connection in the instant it was used again. Says nothing about the server, and every request of ours
 * may be repeated: reads, merge patches, Events whose name follows from their content.
 */
class StaleConnectionError extends Error {}

function send(url: URL, agent: HttpAgent, { method, headers, payload, signal }: OpenOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options: RequestOptions = { method, headers, signal, agent };
    const sent: ClientRequest = (url.protocol === 'http:' ? httpRequest : httpsRequest)(url, options, resolve);
    sent.on('error', (error) => {
      const stale = sent.reusedSocket && (errnoOf(error) === 'ECONNRESET' || errnoOf(error) === 'EPIPE');
      reject(stale ? new StaleConnectionError(error.message, { cause: error }) : error);
    });
    sent.end(payload);
  });
}

function dropIdle(agent: HttpAgent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of [...(sockets ?? [])]) socket.destroy();
}
