import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Runs inside the netns of a pod that the caller entered (setns needs root), becomes an ordinary user, and does one of ATTACKS against
 * some hosts without pause: cluster-webhook-attack-client.ts ATTACK UID FOR_MS PORT HOST… Prints `started` with its first connection and at
 * the end one line of JSON: how many connections it made, what HTTP statuses it got, and what a review said, each once.
 */
/** To each host: more than it takes from one address. */
const CONNECTIONS = 96;
const MEBIBYTE = 1024 * 1024;
const [attack = '', uid, forMs, port, ...hosts] = process.argv.slice(2);
process.setgroups?.([]);
process.setgid?.(Number(uid));
process.setuid?.(Number(uid));

const told = { connections: 0, statuses: new Map<string, number>(), answers: new Set<string>() };
const untilMs = performance.now() + Number(forMs);
const strike = ATTACKS()[attack];
if (strike === undefined) throw new Error(`no attack ${attack}`);
await Promise.all(hosts.flatMap((host) => Array.from({ length: CONNECTIONS }, () => again(host, strike))));
process.stdout.write(
  `${JSON.stringify({ connections: told.connections, statuses: Object.fromEntries(told.statuses), answers: [...told.answers] })}\n`,
);

function ATTACKS(): Readonly<Record<string, (socket: Socket) => Promise<void> | void>> {
  return {
    // Never begins a TLS handshake.
    mute: () => undefined,
    garbage: (socket) => void socket.write(Buffer.alloc(64 * 1024, 0x5b)),
    'slow-headers': (socket) => trickle(socket, 'POST /gate HTTP/1.1\r\nhost: gate\r\nx-slow: '),
    'slow-body': (socket) => trickle(socket, head(`content-length: ${MEBIBYTE / 4}`)),
    'large-bodies': (socket) =>
      void socket.write(`${head(`content-length: ${3 * MEBIBYTE}`)}${'['.repeat(3 * MEBIBYTE)}`),
    'endless-bodies': (socket) => endless(socket),
    reviews: (socket) => void socket.write(post(review())),
    // Each makes the webhook ask the API server.
    'strange-namespaces': (socket) => void socket.write(post(review())),
    lies: (socket) => void socket.write(post('{"kind":"AdmissionReview","request":{"uid":"","object":{"spec":[]}}}')),
  };
}

/** One connection after another until the time is over. */
async function again(host: string, strikeOnce: (socket: Socket) => Promise<void> | void): Promise<void> {
  while (performance.now() < untilMs) {
    const plain = attack === 'mute' || attack === 'garbage';
    const target = { host, port: Number(port) };
    // oxlint-disable-next-line no-await-in-loop -- one after another is the point
    await once(plain ? connect(target) : connectTls({ ...target, rejectUnauthorized: false }), strikeOnce);
  }
}

function once(socket: Socket, strikeOnce: (socket: Socket) => Promise<void> | void): Promise<void> {
  return new Promise((resolve) => {
    let answer = '';
    const timer = setTimeout(() => socket.destroy(), Math.max(0, untilMs - performance.now()));
    socket.on(attack === 'mute' || attack === 'garbage' ? 'connect' : 'secureConnect', () => {
      told.connections += 1;
      if (told.connections === 1) process.stdout.write('started\n');
      void strikeOnce(socket);
    });
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      // Reviews are answered on a connection that is kept: the next one needs no new handshake.
      if (answer.includes('"kind":"AdmissionReview"')) {
        note(answer);
        answer = '';
        if (performance.now() < untilMs) socket.write(post(review()));
        else socket.end();
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      note(answer);
      // Without a pause, being refused a connection would be a loop that only burns this machine's two cores.
      void delay(20).then(resolve);
    });
  });
}

function note(answer: string): void {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1];
  if (status === undefined) return;
  told.statuses.set(status, (told.statuses.get(status) ?? 0) + 1);
  const allowed = /"allowed":(true|false)/.exec(answer)?.[1];
  if (allowed !== undefined) told.answers.add(`allowed: ${allowed}`);
}

async function trickle(socket: Socket, first: string): Promise<void> {
  socket.write(first);
  while (!socket.destroyed) {
    await delay(500);
    socket.write('x');
  }
}

/** No length told, so that only counting ends it. */
async function endless(socket: Socket): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 0x5b);
  socket.write(head('transfer-encoding: chunked'));
  while (!socket.destroyed) {
    socket.write(`${chunk.length.toString(16)}\r\n`);
    socket.write(chunk);
    if (!socket.write('\r\n')) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
  }
}

function head(length: string): string {
  return `POST /gate HTTP/1.1\r\nhost: gate\r\ncontent-type: application/json\r\n${length}\r\n\r\n`;
}

function post(body: string): string {
  return `${head(`content-length: ${Buffer.byteLength(body)}`)}${body}`;
}

/** Of a pod that is opted in, as the API server would send it. */
function review(): string {
  const request = {
    uid: 'forged',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    operation: 'CREATE',
    namespace: attack === 'strange-namespaces' ? `none-${randomUUID()}` : 'default',
    object: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'forged', annotations: { 'istio-pod-network-controller/initialize': 'true' } },
      spec: {
        initContainers: [
          { name: 'istio-init', image: 'x', args: ['istio-iptables'] },
          { name: 'istio-proxy', image: 'x', args: ['proxy', 'sidecar'], restartPolicy: 'Always' },
        ],
        containers: [{ name: 'app', image: 'x' }],
      },
    },
  };
  return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });
}
