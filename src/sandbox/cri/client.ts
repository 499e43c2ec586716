import { connect } from 'node:net';
import { type CallOptions, Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { ControllerError } from '../../errors.ts';
import type { Sandbox, SandboxDetails, SandboxRuntime } from '../sandbox.ts';
import { callFailure } from './call-failure.ts';
import {
  NamespaceMode,
  type PodSandbox,
  PodSandboxState,
  type PodSandboxStatus,
  type PodSandboxStatusResponse,
  RuntimeService,
} from './gen/api_pb.ts';
import { readVerboseInfo, usableIps } from './verbose-info.ts';

/** A healthy runtime answers in about 10 ms; one that needs 2 s is in trouble, and the caller has its own retry. */
export const CALL_TIMEOUT_MS = 2_000;

/** containerd and CRI-O send at most 16 MiB themselves (their default gRPC message limit). */
const REPLY_BYTES_MAX = 16 * 1024 * 1024;

/** Kubelet puts it on every sandbox, so that the runtime can pick one pod's out of hundreds. */
const POD_UID_LABEL = 'io.kubernetes.pod.uid';

/** gRPC wants an authority; over a unix socket it means nothing. */
const AUTHORITY = 'http://localhost';

/**
 * The container runtime behind a CRI v1 socket. Connects with the first call, reconnects with the next one after the runtime was away,
 * and never outlives `timeoutMs` in any call. Never subscribes to `GetContainerEvents`: on containerd 1.7 a second reader takes
 * kubelet's events away, on 2.x a slow one blocks pod creation.
 */
export function createCriRuntime(options: {
  /** Absolute path of the runtime's unix socket. */
  readonly socketPath: string;
  /** Deadline of each call. */
  readonly timeoutMs?: number;
}): SandboxRuntime {
  const { socketPath, timeoutMs = CALL_TIMEOUT_MS } = options;
  const session = new Http2SessionManager(AUTHORITY, {}, { createConnection: () => connect(socketPath) });
  const client = createClient(
    RuntimeService,
    createGrpcTransport({
      baseUrl: AUTHORITY,
      sessionManager: session,
      readMaxBytes: REPLY_BYTES_MAX,
      // Labels and annotations of every pod would otherwise be kept as unknown fields.
      binaryOptions: { readUnknownFields: false },
    }),
  );
  const closed = new AbortController();

  async function call<T>(method: string, act: (options: CallOptions) => Promise<T>): Promise<T> {
    try {
      return await act({ timeoutMs, signal: closed.signal });
    } catch (error: unknown) {
      throw callFailure(error, { method, socketPath, timeoutMs });
    }
  }

  async function statusOf(sandboxId: string): Promise<PodSandboxStatusResponse | undefined> {
    return await call('PodSandboxStatus', async (callOptions) => {
      try {
        return await client.podSandboxStatus({ podSandboxId: sandboxId, verbose: true }, callOptions);
      } catch (error: unknown) {
        if (isGone(error)) return undefined;
        throw error;
      }
    });
  }

  return {
    version: async () => {
      const reply = await call('Version', (callOptions) => client.version({}, callOptions));
      return { name: reply.runtimeName, version: reply.runtimeVersion };
    },
    listReady: async (podUid) => {
      const labelSelector: Record<string, string> = podUid === undefined ? {} : { [POD_UID_LABEL]: podUid };
      const filter = { state: { state: PodSandboxState.SANDBOX_READY }, labelSelector };
      const reply = await call('ListPodSandbox', (callOptions) => client.listPodSandbox({ filter }, callOptions));
      return reply.items.map(toSandbox).filter((sandbox) => sandbox.ready);
    },
    details: async (sandboxId) => {
      const reply = await statusOf(sandboxId);
      return reply === undefined ? undefined : toDetails(reply, sandboxId);
    },
    close: () => {
      closed.abort();
      session.abort();
    },
  };
}

/** cri-dockerd passes on what Docker says, without a gRPC code of its own. */
function isGone(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  return (
    error.code === Code.NotFound || (error.code === Code.Unknown && /\bno such container\b/i.test(error.rawMessage))
  );
}

function toDetails(reply: PodSandboxStatusResponse, sandboxId: string): SandboxDetails {
  if (reply.status === undefined) {
    throw new ControllerError('RuntimeReply', `the runtime's status of sandbox ${sandboxId} is empty`, {
      fields: { sandbox: sandboxId },
    });
  }
  const info = readVerboseInfo(reply.info, sandboxId);
  const hostNetwork = reply.status.linux?.namespaces?.options?.network === NamespaceMode.NODE;
  const network = reply.status.network;
  const ips = network === undefined ? [] : [network.ip, ...network.additionalIps.map(({ ip }) => ip)];
  return {
    ...toSandbox(reply.status),
    // A host-network sandbox has no netns of its own, whatever its spec may say.
    netnsPath: hostNetwork ? undefined : info.netnsPath,
    hostNetwork,
    ips: hostNetwork ? [] : usableIps(ips),
    pid: info.pid,
    nameservers: info.nameservers,
  };
}

function toSandbox(item: PodSandbox | PodSandboxStatus): Sandbox {
  return {
    id: item.id,
    podUid: item.metadata?.uid ?? '',
    podName: item.metadata?.name ?? '',
    podNamespace: item.metadata?.namespace ?? '',
    attempt: item.metadata?.attempt ?? 0,
    ready: item.state === PodSandboxState.SANDBOX_READY,
    createdAtNs: item.createdAt,
  };
}
