import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { poll } from '../../lab/poll.ts';
import { httpOk } from '../../lab/probe.ts';
import { createTransport, type Transport } from '../../src/kube/request.ts';
import { type EtcdStore, etcdStore } from './etcd-store.ts';
import { type OwnedProcess, startOwned } from './owned-process.ts';
import { makeSecrets, type Secrets } from './secrets.ts';

/** A real etcd and kube-apiserver of our own, on loopback. The lab's are tied to its bridge, and these must be restarted at will. */
export interface ApiServer {
  readonly url: URL;
  /** PEM. */
  readonly ca: string;
  /** As a cluster admin. */
  readonly admin: Transport;
  readonly adminToken: string;
  /** What it keeps its objects in. */
  readonly store: EtcdStore;
  /** Signs the tokens of ServiceAccounts. */
  readonly serviceAccountKeyFile: string;
  /** Of the server that serves now. */
  pid(): number;
  etcdPid(): number;
  /** The answer's body, whatever its format. */
  text(path: string): Promise<string>;
  /** SIGKILL; nobody answers from here on. */
  kill(): Promise<void>;
  /** Returns when it says that it is ready. */
  start(): Promise<void>;
  /**
   * A second one takes over on the same port, then the first is killed: as when a machine of a control plane of several goes. (One that is
   * told to end listens no more, but serves the watches it has for another minute.)
   */
  replace(onEnding: () => void): Promise<void>;
  /** Ends all of it and removes every file. */
  close(): Promise<void>;
}

export async function startApiServer(bin: string): Promise<ApiServer> {
  const folder = mkdtempSync(join(tmpdir(), 'istio-pnc-scale-'));
  const running: OwnedProcess[] = [];
  try {
    return await startIn(folder, bin, running);
  } catch (error: unknown) {
    await Promise.all(running.map((one) => one.end('SIGKILL')));
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

async function startIn(folder: string, bin: string, running: OwnedProcess[]): Promise<ApiServer> {
  const secrets = await makeSecrets(folder);
  const [port, clientPort, peerPort] = await freePorts(3);
  const etcdUrl = `http://127.0.0.1:${clientPort}`;
  const etcd = await startOwned(
    etcdArgv(bin, folder, etcdUrl, `http://127.0.0.1:${peerPort}`),
    join(folder, 'etcd.log'),
  );
  running.push(etcd);
  await poll(() => httpOk(`${etcdUrl}/readyz`), { what: 'etcd is ready', timeoutMs: 30_000, intervalMs: 50 });

  const argv = serverArgv(bin, secrets, String(port), etcdUrl);
  const launch = async () => {
    const server = await startOwned(argv, join(folder, 'kube-apiserver.log'));
    running.push(server);
    return server;
  };
  let server = await launch();
  const url = new URL(`https://127.0.0.1:${port}`);
  const credentials = { current: () => ({ token: secrets.adminToken, ca: secrets.ca }), refresh: () => undefined };
  const admin = createTransport({ baseUrl: url, credentials, observe: () => undefined });
  const text = (path: string) => get(url, path, secrets);
  await ready(text, server, 1);

  return {
    url,
    ca: secrets.ca,
    admin,
    adminToken: secrets.adminToken,
    store: etcdStore(etcdUrl),
    serviceAccountKeyFile: secrets.serviceAccountKeyFile,
    text,
    pid: () => server.pid,
    etcdPid: () => etcd.pid,
    kill: () => server.end('SIGKILL'),
    start: async () => {
      server = await launch();
      await ready(text, server, 1);
    },
    replace: async (onEnding) => {
      const [old, next] = [server, await launch()];
      // The kernel spreads connections over both: so many answers in a row, and one of them came from the new one.
      await ready(text, next, 12);
      server = next;
      onEnding();
      await old.end('SIGKILL');
    },
    close: async () => {
      admin.close();
      await Promise.all(running.map((one) => one.end('SIGKILL')));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ready(text: (path: string) => Promise<string>, server: OwnedProcess, times: number): Promise<void> {
  let inARow = 0;
  const look = async () => {
    try {
      await text('/readyz');
      inARow += 1;
    } catch (error: unknown) {
      inARow = 0;
      throw error;
    }
    return inARow >= times;
  };
  await poll(look, {
    what: 'kube-apiserver is ready',
    timeoutMs: 120_000,
    intervalMs: 100,
    stillPossible: () => {
      if (!server.running()) throw new Error(`kube-apiserver ended before it was ready\n${server.tail()}`);
    },
  });
}

/** A connection of its own each time: a kept one says nothing about a server that has just been started. */
function get(url: URL, path: string, { adminToken, ca }: Secrets): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { ca, agent: new Agent({ keepAlive: false }), headers: { authorization: `Bearer ${adminToken}` } };
  const sent = request(new URL(path, url), { ...options, timeout: 60_000 }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => {
      const body = Buffer.concat(chunks).toString('latin1');
      if (response.statusCode === 200) resolve(body);
      else reject(new Error(`${path}: ${response.statusCode} ${body.slice(0, 200)}`));
    });
  });
  sent.on('timeout', () => sent.destroy(new Error(`${path}: no answer`)));
  sent.on('error', reject);
  sent.end();
  return promise;
}

function etcdArgv(bin: string, folder: string, client: string, peer: string): string[] {
  return [
    join(bin, 'etcd'),
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    `--quota-backend-bytes=${8 * 1024 ** 3}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

/** As in the lab; concurrency limits, timeouts and caches are the server's defaults. */
function serverArgv(bin: string, secrets: Secrets, port: string, etcdUrl: string): string[] {
  return [
    join(bin, 'kube-apiserver'),
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    // Loopback cannot be the address of a Service's endpoint.
    '--endpoint-reconciler-type=none',
    `--secure-port=${port}`,
    '--permit-port-sharing=true',
    `--etcd-servers=${etcdUrl}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    `--token-auth-file=${secrets.tokenFile}`,
    `--client-ca-file=${secrets.caFile}`,
    `--tls-cert-file=${secrets.certFile}`,
    `--tls-private-key-file=${secrets.keyFile}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${secrets.serviceAccountKeyFile}`,
    `--service-account-signing-key-file=${secrets.serviceAccountKeyFile}`,
    '--shutdown-delay-duration=0s',
  ];
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  return Promise.all(
    servers.map(async (server) => {
      await new Promise((resolve) => server.once('listening', resolve));
      const address = server.address();
      await new Promise((resolve) => server.close(resolve));
      return typeof address === 'object' && address !== null ? address.port : 0;
    }),
  );
}
