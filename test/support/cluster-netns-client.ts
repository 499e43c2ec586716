import { connect } from 'node:net';

/**
 * Runs inside a netns that the caller entered (setns needs root), becomes an ordinary user, then connects.
 *   cluster-netns-client.ts connect UID TIMEOUT_MS ADDRESS…    one JSON list of outcomes
 *   cluster-netns-client.ts get UID TIMEOUT_MS URL             the body
 *   cluster-netns-client.ts echo UID TIMEOUT_MS ADDRESS TEXT   what comes back for the text
 *   cluster-netns-client.ts dns UID TIMEOUT_MS SERVER NAME     the IPv4 addresses of a name, asked over TCP, one a line
 */
const [verb, uid, timeoutMs, ...targets] = process.argv.slice(2);
process.setgroups?.([]);
process.setgid?.(Number(uid));
process.setuid?.(Number(uid));
const [first = '', second = ''] = targets;
if (verb === 'get') process.stdout.write(await get(first));
else if (verb === 'echo') process.stdout.write(await exchange(first, Buffer.from(second), second.length));
else if (verb === 'dns')
  process.stdout.write(addressesOf(await exchange(`${first}:53`, queryFor(second), 14)).join('\n'));
else process.stdout.write(JSON.stringify(await Promise.all(targets.map(dial))));

async function get(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(Number(timeoutMs)) });
  return response.text();
}

function dial(address: string): Promise<{ address: string; outcome: string; elapsedMs: number }> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const startMs = performance.now();
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) });
    const finish = (outcome: string) => {
      socket.destroy();
      resolve({ address, outcome, elapsedMs: performance.now() - startMs });
    };
    socket.setTimeout(Number(timeoutMs), () => finish('ETIMEDOUT'));
    socket.on('connect', () => finish('connected'));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  });
}

/** Sends and reads until so many bytes are there and no more come in the same turn. */
function exchange(address: string, data: Buffer, bytesMin: number): Promise<Buffer> {
  const { hostname, port } = new URL(`tcp://${address}`);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) });
    let received = Buffer.alloc(0);
    socket.setTimeout(Number(timeoutMs), () => socket.destroy(new Error('ETIMEDOUT')));
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length >= bytesMin) socket.end();
    });
    socket.write(data);
  });
}

/** A question for an A record (RFC 1035 §4), with the length that TCP wants in front (§4.2.2). */
function queryFor(name: string): Buffer {
  const labels = name.split('.').flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  const header = Buffer.from([0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const query = Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
  return Buffer.concat([Buffer.from([query.length >> 8, query.length & 255]), query]);
}

/** The last four bytes of every A record: its head ends in type 1, class 1, a time to live, and a length of 4. */
function addressesOf(answer: Buffer): string[] {
  const hex = answer.subarray(2).toString('hex');
  const records = hex.matchAll(/00010001[0-9a-f]{8}0004([0-9a-f]{8})/g);
  return [...records].map(([, address = '']) => [...Buffer.from(address, 'hex')].join('.'));
}
