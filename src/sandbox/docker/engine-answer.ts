import * as v from 'valibot';
import { ControllerError, messageOf } from '../../errors.ts';
import { isPlainAbsolutePath } from '../cri/verbose-info.ts';

/** A container with a netns of its own, as Docker describes it. */
export interface EngineContainer {
  readonly running: boolean;
  /** Undefined once the container has stopped. Absolute and without `..`. */
  readonly netnsPath: string | undefined;
  /** Of its first process, seen from the host; undefined once it has stopped. */
  readonly pid: number | undefined;
}

const ContainerShape = v.object({
  State: v.object({ Running: v.boolean(), Pid: v.nullish(v.number(), 0) }),
  NetworkSettings: v.nullish(v.object({ SandboxKey: v.nullish(v.string(), '') }), { SandboxKey: '' }),
});

const ProblemShape = v.object({ message: v.string() });

/**
 * Docker pins each netns under the first twelve characters of its sandbox's id, in the folder `netns` of its exec root (/var/run/docker
 * unless told otherwise). The host's own is called `default` there: whatever has another name is not a pod's.
 */
const NETNS_FILE = /\/netns\/[0-9a-f]{12}$/;

const PROBLEM_CHARACTERS_MAX = 300;

/** Reads the answer of `GET /containers/ID/json`. Throws `RuntimeReply` if it cannot be used, or names no netns for a running container. */
export function readContainer(body: string, containerId: string): EngineContainer {
  const parsed = v.safeParse(ContainerShape, parseJson(body, containerId));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw unusable(
      containerId,
      `is not what GET /containers/ID/json gives: ${v.getDotPath(issue) ?? ''} ${issue.message}`,
    );
  }
  const { State: state, NetworkSettings: network } = parsed.output;
  // A stopped container goes on naming the netns it had.
  if (!state.Running) return { running: false, netnsPath: undefined, pid: undefined };
  const path = network.SandboxKey;
  if (path === '') {
    throw unusable(
      containerId,
      'names no network namespace (NetworkSettings.SandboxKey is empty)',
      'Sandboxes must have been made by cri-dockerd with --network-plugin=cni; see the log of dockerd on this node.',
    );
  }
  if (!isPlainAbsolutePath(path) || !NETNS_FILE.test(path)) {
    throw unusable(
      containerId,
      `names the netns ${JSON.stringify(path.slice(0, 200))}, not a file of twelve hex digits in a folder netns`,
    );
  }
  return {
    running: true,
    netnsPath: path,
    pid: Number.isSafeInteger(state.Pid) && state.Pid > 0 ? state.Pid : undefined,
  };
}

/** What Docker says is wrong, on one line; the start of the answer if it does not say it in its own form. */
export function readProblem(body: string): string {
  let text = body;
  try {
    const parsed = v.safeParse(ProblemShape, JSON.parse(body));
    if (parsed.success) text = parsed.output.message;
  } catch {
    // Not Docker's own words, but words.
  }
  return text.slice(0, PROBLEM_CHARACTERS_MAX).replaceAll(/\s+/g, ' ').trim();
}

function parseJson(body: string, containerId: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error: unknown) {
    throw unusable(containerId, `is not JSON: ${messageOf(error)}`);
  }
}

function unusable(
  containerId: string,
  why: string,
  hint = 'Check --docker-socket and the version of Docker.',
): ControllerError {
  return new ControllerError('RuntimeReply', `Docker's answer about container ${containerId} ${why}`, {
    hint,
    fields: { sandbox: containerId },
  });
}
