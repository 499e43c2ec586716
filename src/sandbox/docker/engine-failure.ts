import { ControllerError, errnoOf, messageOf } from '../../errors.ts';

/** What failed, for the message. */
export interface EngineCall {
  readonly socketPath: string;
  readonly timeoutMs: number;
  readonly timedOut: boolean;
}

/** What it means that Docker gave no answer: always `RuntimeUnavailable`, with the way out. */
export function engineFailure(error: unknown, call: EngineCall): ControllerError {
  const errno = errnoOf(error);
  const reached = REACHED[errno ?? ''];
  const { socketPath, timeoutMs } = call;
  const fields = { socket: socketPath, ...(errno === undefined ? {} : { errno }) };
  if (call.timedOut) {
    return new ControllerError('RuntimeUnavailable', `Docker did not answer on ${socketPath} within ${timeoutMs} ms`, {
      hint: 'See the log of dockerd on this node; the call is made again.',
      fields,
      cause: error,
    });
  }
  if (reached !== undefined) {
    return new ControllerError('RuntimeUnavailable', `Docker's socket ${socketPath}: ${reached.what} (${errno})`, {
      hint: reached.hint,
      fields,
      cause: error,
    });
  }
  return new ControllerError(
    'RuntimeUnavailable',
    `the connection to Docker on ${socketPath} ended before its answer: ${messageOf(error)}`,
    { hint: 'Docker was restarted or is going down; the call is made again.', fields, cause: error },
  );
}

const NEEDED =
  'The runtime is cri-dockerd, which does not tell where network namespaces are; Docker itself does. Set agent.docker.enabled=true in the chart, or mount the directory of its socket and name the socket with --docker-socket.';
const MAY_NOT = 'The agent must run as uid 0; with SELinux its container needs the type spc_t.';

const REACHED: Readonly<Record<string, { readonly what: string; readonly hint: string }>> = {
  ENOENT: { what: 'does not exist', hint: NEEDED },
  ENOTDIR: { what: 'a part of the path is not a directory', hint: NEEDED },
  ECONNREFUSED: {
    what: 'nobody listens on it',
    hint: 'Docker is down, or the socket file itself is mounted and went stale: mount its directory.',
  },
  EACCES: { what: 'permission denied', hint: MAY_NOT },
  EPERM: { what: 'operation not permitted', hint: MAY_NOT },
};
