import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { linkPlugin, type PluginLink, type PluginReply } from './fake-nri-plugin-link.ts';
import {
  ConfigureRequestSchema,
  ConfigureResponseSchema,
  type ContainerSchema,
  CreateContainerRequestSchema,
  Event,
  type PodSandboxSchema,
  PodSandboxRequestSchema,
  StateChangeEventSchema,
  SynchronizeRequestSchema,
  SynchronizeResponseSchema,
} from './gen/nri_pb.ts';
import { decode, UNIMPLEMENTED } from './ttrpc.ts';

export type FakePod = MessageInitShape<typeof PodSandboxSchema>;
export type FakeContainer = MessageInitShape<typeof ContainerSchema>;

/** A runtime with NRI for tests: a real unix socket, held to the same contract as a real runtime. */
export interface FakeNriRuntime {
  readonly socketPath: string;
  /** The next plugin that gets synchronized, or the one that was since the last call. */
  plugin(): Promise<FakePlugin>;
  /** Connections that were taken in, mute ones too. */
  connectionCount(): number;
  /** Closes every connection and removes the socket, as a runtime that is stopped. */
  stop(): Promise<void>;
  /** Listens again on the same path. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface FakePlugin {
  readonly name: string;
  readonly index: string;
  /** The mask of its answer to Configure. */
  readonly events: number;
  readonly link: PluginLink;
  runPodSandbox(pod: FakePod): Promise<PluginReply>;
  stopPodSandbox(pod: FakePod): Promise<PluginReply>;
  removePodSandbox(pod: FakePod): Promise<PluginReply>;
  createContainer(pod: FakePod, container: FakeContainer): Promise<PluginReply>;
}

export interface FakeNriOptions {
  /** `StateChange`: NRI before 0.12. Without: a method for each event, unless the plugin does not know it. */
  readonly speaks?: 'StateChange' | 'methods';
  readonly requestTimeoutMs?: number;
  /** What Synchronize tells, a message for each part. */
  readonly parts?: readonly { readonly pods?: readonly FakePod[]; readonly containers?: readonly FakeContainer[] }[];
  /** Configure before the answer to the registration, as containerd 1.7 does. */
  readonly configuresFirst?: boolean;
  /** Between Configure and Synchronize: the pods it is starting. */
  readonly synchronizesAfterMs?: number;
  /** Says nothing at all on connections for which this is true; the first is 1. */
  readonly isMute?: (connection: number) => boolean;
  /** Refuses the registration with this. */
  readonly refusal?: (connection: number) => string | undefined;
  /** Writes in pieces of this many bytes. */
  readonly chunkBytes?: number;
}

const METHODS = {
  RunPodSandbox: Event.RUN_POD_SANDBOX,
  StopPodSandbox: Event.STOP_POD_SANDBOX,
  RemovePodSandbox: Event.REMOVE_POD_SANDBOX,
} as const;

export async function startFakeNriRuntime(options: FakeNriOptions = {}): Promise<FakeNriRuntime> {
  const folder = await mkdtemp(join(tmpdir(), 'fake-nri-'));
  const socketPath = join(folder, 'nri.sock');
  const sockets = new Set<Socket>();
  let plugin = Promise.withResolvers<FakePlugin>();
  let connectionCount = 0;
  let server: Server | undefined;

  function accept(socket: Socket): void {
    connectionCount += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    if (options.isMute?.(connectionCount) === true) {
      socket.on('error', () => {});
      socket.resume();
      return;
    }
    const { requestTimeoutMs = 2_000, chunkBytes } = options;
    const link = linkPlugin(socket, { requestTimeoutMs, ...(chunkBytes !== undefined && { chunkBytes }) });
    takeIn(link, options, options.refusal?.(connectionCount)).then(
      (synchronized) => plugin.resolve(synchronized),
      () => link.close(),
    );
  }

  const start = async () => {
    server = createServer(accept);
    server.listen(socketPath);
    await once(server, 'listening');
  };
  const stop = async () => {
    const ending = server;
    server = undefined;
    if (ending === undefined) return;
    for (const socket of sockets) socket.destroy();
    ending.close();
    await once(ending, 'close');
  };
  await start();
  return {
    socketPath,
    plugin: async () => {
      const next = await plugin.promise;
      plugin = Promise.withResolvers();
      return next;
    },
    connectionCount: () => connectionCount,
    stop,
    start,
    close: async () => {
      await stop();
      await rm(folder, { recursive: true });
    },
  };
}

async function takeIn(link: PluginLink, options: FakeNriOptions, refusal: string | undefined): Promise<FakePlugin> {
  const { name, index } = await link.registration;
  if (options.configuresFirst !== true) link.answerRegistration(refusal);
  const events = await configure(link, options);
  if (options.configuresFirst === true) link.answerRegistration(refusal);
  if (options.synchronizesAfterMs !== undefined) await delay(options.synchronizesAfterMs);
  await synchronize(link, options.parts ?? [{}]);
  return { name, index, events, link, ...callsOf(link, options.speaks ?? 'methods') };
}

async function configure(link: PluginLink, options: FakeNriOptions): Promise<number> {
  const configuration = create(ConfigureRequestSchema, {
    runtimeName: 'fake',
    runtimeVersion: '1.2.3',
    requestTimeout: BigInt(options.requestTimeoutMs ?? 2_000),
  });
  const { payload } = await link.call('Configure', toBinary(ConfigureRequestSchema, configuration));
  return decode(ConfigureResponseSchema, payload).events;
}

async function synchronize(link: PluginLink, parts: NonNullable<FakeNriOptions['parts']>): Promise<void> {
  for (const [index, { pods = [], containers = [] }] of parts.entries()) {
    const more = index < parts.length - 1;
    const part = create(SynchronizeRequestSchema, { pods: [...pods], containers: [...containers], more });
    const reply = await link.call('Synchronize', toBinary(SynchronizeRequestSchema, part));
    if (reply.code !== 0 || decode(SynchronizeResponseSchema, reply.payload).more !== more) {
      throw new Error('failed to synchronize plugin');
    }
  }
}

function callsOf(
  link: PluginLink,
  speaks: NonNullable<FakeNriOptions['speaks']>,
): Pick<FakePlugin, 'runPodSandbox' | 'stopPodSandbox' | 'removePodSandbox' | 'createContainer'> {
  let spoken = speaks;
  async function tell(method: keyof typeof METHODS, pod: FakePod): Promise<PluginReply> {
    if (spoken === 'methods') {
      const payload = toBinary(PodSandboxRequestSchema, create(PodSandboxRequestSchema, { pod }));
      const reply = await link.call(method, payload);
      if (reply.code !== UNIMPLEMENTED) return reply;
      // For good, as the runtimes do.
      spoken = 'StateChange';
    }
    const change = create(StateChangeEventSchema, { event: METHODS[method], pod });
    return await link.call('StateChange', toBinary(StateChangeEventSchema, change));
  }
  return {
    runPodSandbox: (pod) => tell('RunPodSandbox', pod),
    stopPodSandbox: (pod) => tell('StopPodSandbox', pod),
    removePodSandbox: (pod) => tell('RemovePodSandbox', pod),
    createContainer: async (pod, container) => {
      const request = create(CreateContainerRequestSchema, { pod, container });
      return await link.call('CreateContainer', toBinary(CreateContainerRequestSchema, request));
    },
  };
}
