import { type IncomingMessage, request } from 'node:http';
import { ControllerError, isControllerError } from '../../errors.ts';
import { textWithin } from '../../text-within.ts';
import { readContainer, readProblem, type EngineContainer } from './engine-answer.ts';
import { engineFailure } from './engine-failure.ts';

/** The Docker Engine API, as far as the agent needs it: one question. */
export interface DockerEngine {
  /**
   * Undefined: Docker knows no such container. Throws `RuntimeUnavailable` (nobody answered) or `RuntimeReply` (the answer cannot be used).
   */
  inspect(containerId: string): Promise<EngineContainer | undefined>;
  /** Calls under way fail, and later calls too. */
  close(): void;
}

/** As for CRI: a healthy daemon answers in some milliseconds. */
const CALL_TIMEOUT_MS = 2_000;
/** An inspected container is some ten kB, mostly its labels and mounts. */
export const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** What Docker generates; checked, for it becomes a part of the path that is asked for. */
const CONTAINER_ID = /^[0-9a-f]{64}$/;

/**
 * The Docker Engine behind its unix socket. Every call has a connection of its own, so a restarted daemon is found by the next one, and
 * no call outlives `timeoutMs`. The path has no version: the daemon then speaks its own, and what is read is in all of them.
 */
export function createDockerEngine(options: {
  /** Absolute path of Docker's unix socket. */
  readonly socketPath: string;
  /** Deadline of each call, its answer included. */
  readonly timeoutMs?: number;
}): DockerEngine {
  const { socketPath, timeoutMs = CALL_TIMEOUT_MS } = options;
  const closed = new AbortController();

  async function ask(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      const response = await get(socketPath, path, AbortSignal.any([closed.signal, deadline]));
      return { status: response.statusCode ?? 0, body: await readBounded(response) };
    } catch (error: unknown) {
      if (isControllerError(error)) throw error;
      throw engineFailure(error, { socketPath, timeoutMs, timedOut: deadline.aborted });
    }
  }

  return {
    inspect: async (containerId) => {
      if (!CONTAINER_ID.test(containerId)) {
        const shown = JSON.stringify(containerId.slice(0, 100));
        throw new ControllerError('RuntimeReply', `the runtime calls a sandbox ${shown}, which is no id of Docker's`, {
          hint: 'Docker has ids of 64 hex digits; check --cri-socket.',
        });
      }
      const { status, body } = await ask(`/containers/${containerId}/json`);
      if (status === 200) return readContainer(body, containerId);
      const problem = readProblem(body);
      if (status === 404 && /no such container/i.test(problem)) return undefined;
      throw new ControllerError(
        'RuntimeReply',
        `Docker answered on ${socketPath} with HTTP status ${status} for container ${containerId}: ${problem}`,
        {
          hint: 'See the log of dockerd on this node; check --docker-socket.',
          fields: { sandbox: containerId, status },
        },
      );
    },
    close: () => closed.abort(),
  };
}

function get(socketPath: string, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  // HTTP wants a host; over a unix socket it means nothing.
  const headers = { host: 'localhost', accept: 'application/json', connection: 'close' };
  request({ socketPath, path, method: 'GET', headers, agent: false, signal }, resolve).on('error', reject).end();
  return promise;
}

async function readBounded(response: IncomingMessage): Promise<string> {
  const text = await textWithin(response, ANSWER_BYTES_MAX);
  if (text !== undefined) return text;
  throw new ControllerError('RuntimeReply', `Docker's answer is larger than ${ANSWER_BYTES_MAX} bytes`, {
    hint: 'Check --docker-socket.',
  });
}
