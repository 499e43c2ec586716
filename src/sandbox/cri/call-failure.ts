import { Code, ConnectError } from '@connectrpc/connect';
import { ControllerError, errnoOf, isControllerError } from '../../errors.ts';

/** What failed, for the message. */
export interface Call {
  /** `ListPodSandbox` */
  readonly method: string;
  readonly socketPath: string;
  readonly timeoutMs: number;
}

/**
 * What a failed call means: `RuntimeUnavailable` (nobody answered) or `RuntimeReply` (an answer that is an error or cannot be read).
 * The transport reports a missing socket as an internal gRPC error, so the errno beneath decides before the gRPC code does.
 */
export function callFailure(error: unknown, call: Call): ControllerError {
  if (isControllerError(error)) return error;
  const grpc = ConnectError.from(error);
  const errno = deepestErrno(error);
  const unreachable = errno === undefined ? undefined : UNREACHABLE[errno];
  const fields = { socket: call.socketPath, method: call.method, grpcCode: Code[grpc.code], ...(errno && { errno }) };
  const unavailable = (message: string, hint: string) =>
    new ControllerError('RuntimeUnavailable', message, { hint, fields, cause: error });

  if (unreachable !== undefined) {
    return unavailable(`container runtime socket ${call.socketPath}: ${unreachable.what} (${errno})`, unreachable.hint);
  }
  if (grpc.code === Code.DeadlineExceeded) {
    return unavailable(
      `the container runtime did not answer ${call.method} on ${call.socketPath} within ${call.timeoutMs} ms`,
      'See the log of the runtime on this node; the call is made again.',
    );
  }
  if (
    grpc.code === Code.Canceled ||
    grpc.code === Code.Unavailable ||
    grpc.code === Code.Aborted ||
    errno !== undefined
  ) {
    return unavailable(
      `the connection to the container runtime on ${call.socketPath} ended during ${call.method}: ${grpc.rawMessage}`,
      'The runtime was restarted or is going down; the call is made again.',
    );
  }
  if (STARTING.test(grpc.rawMessage)) {
    return unavailable(
      `the container runtime on ${call.socketPath} is still starting: ${grpc.rawMessage}`,
      'The call is made again.',
    );
  }
  return new ControllerError(
    'RuntimeReply',
    `the container runtime answered ${call.method} on ${call.socketPath} with ${Code[grpc.code]}: ${grpc.rawMessage}`,
    {
      hint: grpc.code === Code.Unimplemented ? NO_CRI : 'See the log of the runtime on this node.',
      fields,
      cause: error,
    },
  );
}

const NO_CRI =
  'This socket does not serve CRI v1: a containerd whose CRI plugin is disabled, or a runtime older than containerd 1.6 or CRI-O 1.20; name another with --cri-socket.';

/** containerd opens its socket before its CRI plugin has loaded its state. */
const STARTING = /server is not initialized yet/;

const UNREACHABLE: Readonly<Record<string, { readonly what: string; readonly hint: string }>> = {
  ENOENT: {
    what: 'does not exist',
    hint: "Mount the directory of the runtime's socket into the agent and name the socket with --cri-socket.",
  },
  ENOTDIR: {
    what: 'a part of the path is not a directory',
    hint: 'Name the socket with --cri-socket.',
  },
  ECONNREFUSED: {
    what: 'nobody listens on it',
    hint: 'The runtime is down, or the socket file itself is mounted and went stale: mount its directory.',
  },
  EACCES: {
    what: 'permission denied',
    hint: 'The agent must run as uid 0; with SELinux its container needs the type spc_t.',
  },
  EPERM: {
    what: 'operation not permitted',
    hint: 'The agent must run as uid 0; with SELinux its container needs the type spc_t.',
  },
};

/** The errno of a system error beneath the transport's wrappers. Causes are followed a few steps only: they could form a ring. */
function deepestErrno(error: unknown): string | undefined {
  let at: unknown = error;
  for (let depth = 0; depth < 5 && at !== undefined; depth += 1) {
    const errno = errnoOf(at);
    if (errno !== undefined && /^E[A-Z0-9]+$/.test(errno) && !errno.startsWith('ERR_')) return errno;
    at = at instanceof Error ? at.cause : undefined;
  }
  return undefined;
}
