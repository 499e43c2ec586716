import { createConnection, createServer } from 'node:net';
import { tryCommand } from './command.ts';

/** A TCP port that something of ours will listen on. */
export interface Port {
  readonly port: number;
  readonly host: string;
  readonly process: string;
}

/** The package registries that parts come from, each asked through its own client. */
export type Registry = 'debian' | 'go' | 'pypi';

/** One line for each port that is taken, with who has it where that can be seen. */
export async function portProblems(ports: readonly Port[]): Promise<string[]> {
  const taken: string[] = [];
  for (const entry of ports) {
    if (await isFree(entry)) continue;
    const { stdout } = await tryCommand(['ss', '-Hltnp', `sport = :${entry.port}`]);
    const owner = /users:\(\((.*?)\)/.exec(stdout)?.[1] ?? 'another process';
    taken.push(`TCP port ${entry.port} (${entry.process}) is taken by ${owner}: end that, then try again.`);
  }
  return taken;
}

/** One line for each registry whose client cannot reach it. Debian's is asked by the installation itself. */
export async function checkRegistries(registries: readonly Registry[]): Promise<string[]> {
  const results = await Promise.all(registries.map((name) => CHECKS[name]()));
  return results.filter((problem) => problem !== undefined);
}

const CHECKS: Readonly<Record<Registry, () => Promise<string | undefined>>> = {
  debian: async () => undefined,
  go: () => answers('the Go module proxy', ['go', 'env', 'GOPROXY'], (out) => out.trim().split(/[,|]/)[0] ?? ''),
  pypi: () =>
    answers('the Python package index', ['python3', '-m', 'pip', 'config', 'get', 'global.index-url'], indexOf),
};

function indexOf(output: string): string {
  return output.trim();
}

/** Connects to the host that the client is configured to use; a client that says nothing is left to fail by itself. */
async function answers(
  name: string,
  argv: readonly string[],
  toUrl: (output: string) => string,
): Promise<string | undefined> {
  const { code, stdout } = await tryCommand(argv, { timeoutMs: 20_000 });
  const url = code === 0 ? parseUrl(toUrl(stdout)) : undefined;
  if (url === undefined || process.env['HTTPS_PROXY'] !== undefined || process.env['https_proxy'] !== undefined)
    return undefined;
  const port = Number(url.port || (url.protocol === 'http:' ? 80 : 443));
  if (await connects(url.hostname, port)) return undefined;
  return `${name} does not answer at ${url.host}: parts that are not cached yet cannot be fetched. Check the network, then try again.`;
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

function connects(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: 10_000 });
    const finish = (ok: boolean) => {
      socket.destroy();
      resolve(ok);
    };
    socket.on('connect', () => finish(true));
    socket.on('timeout', () => finish(false));
    socket.on('error', () => finish(false));
  });
}

function isFree(entry: Port): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'));
    server.listen({ port: entry.port, host: entry.host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
