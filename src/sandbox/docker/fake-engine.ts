import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The Docker Engine API for tests: a real HTTP server on a unix socket that answers one question, in the form of Docker 26. */
export interface FakeEngine {
  readonly socketPath: string;
  /** Paths as they came over the wire. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export interface FakeContainer {
  readonly running?: boolean;
  /** `NetworkSettings.SandboxKey`; Docker's own form by default. */
  readonly sandboxKey?: string;
  readonly pid?: number;
}

/** What the server does instead of answering. */
export type EngineTrouble = (response: ServerResponse) => void;

export async function startFakeEngine(options: {
  /** By id. */
  readonly containers?: Readonly<Record<string, FakeContainer>>;
  readonly trouble?: EngineTrouble;
}): Promise<FakeEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'fake-docker-'));
  const socketPath = join(folder, 'docker.sock');
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    if (options.trouble !== undefined) return options.trouble(response);
    const id = /^\/containers\/([^/]+)\/json$/.exec(request.url ?? '')?.[1] ?? '';
    const container = options.containers?.[id];
    response.setHeader('content-type', 'application/json');
    if (container === undefined) {
      response.statusCode = 404;
      return response.end(JSON.stringify({ message: `No such container: ${id}` }));
    }
    return response.end(JSON.stringify(inspected(id, container)));
  });
  await new Promise<void>((resolve) => void server.listen(socketPath, resolve));
  return {
    socketPath,
    requests,
    close: async () => {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      await rm(folder, { recursive: true });
    },
  };
}

/** Recorded from Docker 26.1.5, cut to what tells the states apart. A stopped container has pid 0, and still names the netns that is gone. */
function inspected(id: string, { running = true, sandboxKey, pid = 11_089 }: FakeContainer): object {
  const sandboxId = id.slice(-12);
  return {
    Id: id,
    State: { Status: running ? 'running' : 'exited', Running: running, Paused: false, Pid: running ? pid : 0 },
    HostConfig: { NetworkMode: 'none', OomScoreAdj: -998 },
    NetworkSettings: {
      Bridge: '',
      SandboxID: sandboxId,
      SandboxKey: sandboxKey ?? `/var/run/docker/netns/${sandboxId}`,
      Ports: {},
      IPAddress: '',
      Networks: { none: { Gateway: '', IPAddress: '' } },
    },
  };
}
