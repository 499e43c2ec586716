import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Http2Session } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import {
  type ListPodSandboxRequest,
  ListPodSandboxResponseSchema,
  type LinuxPodSandboxStatusSchema,
  type PodSandboxNetworkStatusSchema,
  PodSandboxState,
  type PodSandboxStatusRequest,
  PodSandboxStatusResponseSchema,
  RuntimeService,
  VersionResponseSchema,
} from './gen/api_pb.ts';

/** A CRI server for tests: a real gRPC server on a unix socket, held to the same contract as a real runtime. */
export interface FakeRuntime {
  readonly socketPath: string;
  /** Requests as they came over the wire. */
  readonly requests: FakeRequests;
  /** Sessions opened so far: tells whether the client kept its connection. */
  readonly sessionCount: () => number;
  /** Cuts every connection and stops listening, as a killed runtime does. */
  kill(): Promise<void>;
  /** Listens again on the same path. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface FakeRequests {
  readonly list: ListPodSandboxRequest[];
  readonly status: PodSandboxStatusRequest[];
}

export interface FakeSandbox {
  readonly id: string;
  readonly podUid: string;
  readonly podName?: string;
  readonly attempt?: number;
  readonly ready?: boolean;
  readonly createdAtNs?: bigint;
  /** The rest of a PodSandboxStatus. */
  readonly network?: MessageInitShape<typeof PodSandboxNetworkStatusSchema>;
  readonly linux?: MessageInitShape<typeof LinuxPodSandboxStatusSchema>;
  readonly info?: Record<string, string>;
}

/** What the server does instead of answering; `undefined`: answers. */
export type Trouble = (method: string) => Promise<void> | undefined;

/** In what runtimes differ from one another. */
export interface RuntimeWays {
  /** What Version says. */
  readonly name: string;
  readonly version: string;
  /** The answer about a sandbox that it does not know. */
  readonly unknownSandbox: (id: string) => ConnectError;
  /** Tells times in lists to the second only. */
  readonly listsWholeSeconds?: boolean;
}

const PLAIN: RuntimeWays = {
  name: 'fake',
  version: 'v1',
  unknownSandbox: () => new ConnectError('an error occurred: not found', Code.NotFound),
};

export async function startFakeRuntime(options: {
  readonly sandboxes?: readonly FakeSandbox[];
  readonly trouble?: Trouble;
  readonly ways?: RuntimeWays;
}): Promise<FakeRuntime> {
  const folder = await mkdtemp(join(tmpdir(), 'fake-cri-'));
  const socketPath = join(folder, 'cri.sock');
  const { sandboxes = [], ways = PLAIN } = options;
  const requests: FakeRequests = { list: [], status: [] };
  const sessions = new Set<Http2Session>();
  let sessionCount = 0;

  const handler = connectNodeAdapter({
    connect: false,
    grpcWeb: false,
    routes: (router) => {
      router.service(RuntimeService, {
        version: async () => {
          await options.trouble?.('Version');
          const { name: runtimeName, version: runtimeVersion } = ways;
          const reply = { version: '0.1.0', runtimeName, runtimeVersion, runtimeApiVersion: 'v1' };
          return create(VersionResponseSchema, reply);
        },
        listPodSandbox: async (request) => {
          requests.list.push(request);
          await options.trouble?.('ListPodSandbox');
          const selected = sandboxes.filter((sandbox) => isSelected(sandbox, request)).map(toItem);
          const items = ways.listsWholeSeconds === true ? selected.map(toTheSecond) : selected;
          return create(ListPodSandboxResponseSchema, { items });
        },
        podSandboxStatus: async (request) => {
          requests.status.push(request);
          await options.trouble?.('PodSandboxStatus');
          const sandbox = sandboxes.find(({ id }) => id === request.podSandboxId);
          if (sandbox === undefined) throw ways.unknownSandbox(request.podSandboxId);
          return create(PodSandboxStatusResponseSchema, toStatus(sandbox));
        },
      });
    },
  });
  const server = createServer(handler);
  server.on('session', (session) => {
    sessionCount += 1;
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  const listen = () => new Promise<void>((resolve) => void server.listen(socketPath, resolve));
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const session of sessions) session.destroy();
    });
  await listen();
  return {
    socketPath,
    requests,
    sessionCount: () => sessionCount,
    kill: stop,
    restart: listen,
    close: async () => {
      if (server.listening) await stop();
      await rm(folder, { recursive: true });
    },
  };
}

function isSelected(sandbox: FakeSandbox, { filter }: ListPodSandboxRequest): boolean {
  if (filter?.state !== undefined && filter.state.state !== stateOf(sandbox)) return false;
  const uid = filter?.labelSelector['io.kubernetes.pod.uid'];
  return uid === undefined || uid === sandbox.podUid;
}

function stateOf(sandbox: FakeSandbox): PodSandboxState {
  return sandbox.ready === false ? PodSandboxState.SANDBOX_NOTREADY : PodSandboxState.SANDBOX_READY;
}

function toItem(sandbox: FakeSandbox) {
  return {
    id: sandbox.id,
    metadata: {
      name: sandbox.podName ?? `pod-${sandbox.podUid}`,
      uid: sandbox.podUid,
      namespace: 'shop',
      attempt: sandbox.attempt ?? 0,
    },
    state: stateOf(sandbox),
    createdAt: sandbox.createdAtNs ?? 1_700_000_000_000_000_000n,
  };
}

function toTheSecond(item: ReturnType<typeof toItem>) {
  return { ...item, createdAt: (item.createdAt / 1_000_000_000n) * 1_000_000_000n };
}

function toStatus(sandbox: FakeSandbox): MessageInitShape<typeof PodSandboxStatusResponseSchema> {
  const { network, linux, info = {} } = sandbox;
  return { status: { ...toItem(sandbox), ...(network && { network }), ...(linux && { linux }) }, info };
}
