import { createServer, get, type IncomingHttpHeaders } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * The applications of the quickstart, small enough to read: a server, and a client that prints what it got as one line of JSON.
 *   actor.ts serve NAME PORT
 *   actor.ts get URL
 *   actor.ts await URL        until it answers 200, at most ten seconds
 * It is copied to where unprivileged users can read it, so it imports nothing of this project.
 */
interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Why there was no answer; then the status is 0. */
  readonly error?: string;
}

const REQUEST_TIMEOUT_MS = 3_000;
const AWAIT_MS = 10_000;
const BODY_CHARACTERS_MAX = 65_536;

async function main(argv: readonly string[]): Promise<number> {
  const [verb, target = '', port = ''] = argv;
  if (verb === 'serve') return serve(target, Number(port));
  if (verb === 'get') {
    process.stdout.write(`${JSON.stringify(await request(target))}\n`);
    return 0;
  }
  if (verb === 'await') return (await answers(target)) ? 0 : 1;
  process.stderr.write('usage: actor.ts serve NAME PORT | get URL | await URL\n');
  return 1;
}

/** Answers every request with who was asked and who asked, as the socket saw it. */
function serve(name: string, port: number): number {
  const server = createServer((incoming, response) => {
    const { localAddress = '', remoteAddress = '' } = incoming.socket;
    response.setHeader('x-answered-by', name);
    response.setHeader('connection', 'close');
    response.end(`${name} at ${plain(localAddress)} answers ${plain(remoteAddress)}\n`);
  });
  server.listen(port, '::');
  return 0;
}

function request(url: string): Promise<Reply> {
  return new Promise((resolve) => {
    const fail = (error: Error) => resolve({ status: 0, headers: {}, body: '', error: error.message });
    const sent = get(url, { agent: false, timeout: REQUEST_TIMEOUT_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        if (body.length < BODY_CHARACTERS_MAX) body += chunk;
      });
      response.on('error', fail);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${REQUEST_TIMEOUT_MS} ms`)));
    sent.on('error', fail);
  });
}

async function answers(url: string): Promise<boolean> {
  const deadlineMs = performance.now() + AWAIT_MS;
  while (performance.now() < deadlineMs) {
    if ((await request(url)).status === 200) return true;
    await delay(25);
  }
  return false;
}

/** A dual-stack socket shows IPv4 peers as IPv6 addresses. */
function plain(address: string): string {
  return address.replace(/^::ffff:/, '');
}

process.exitCode = await main(process.argv.slice(2));
