import { connect } from 'node:net';

/**
 * Runs inside a netns that the caller entered (setns needs root), becomes an ordinary user, then connects.
 *   cluster-netns-client.ts connect UID TIMEOUT_MS ADDRESS…    one JSON list of outcomes
 *   cluster-netns-client.ts get UID TIMEOUT_MS URL             the body
 */
const [verb, uid, timeoutMs, ...targets] = process.argv.slice(2);
process.setgroups?.([]);
process.setgid?.(Number(uid));
process.setuid?.(Number(uid));
if (verb === 'get') process.stdout.write(await get(targets[0] ?? ''));
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
