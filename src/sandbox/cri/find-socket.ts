import { stat } from 'node:fs/promises';
import { ControllerError, isControllerError } from '../../errors.ts';
import { createCriRuntime } from './client.ts';

/**
 * Where the runtimes listen unless told otherwise: cri-dockerd, containerd, k3s and RKE2, CRI-O. cri-dockerd comes first: Docker brings a
 * containerd along, which may serve CRI too, and knows no pods.
 */
export const KNOWN_CRI_SOCKETS = [
  '/run/cri-dockerd.sock',
  '/run/containerd/containerd.sock',
  '/run/k3s/containerd/containerd.sock',
  '/run/crio/crio.sock',
] as const;

/**
 * The socket of this node's runtime when none is configured: the only one that exists, or the first that serves CRI (a k3s node may
 * also run the containerd of Docker, which serves none). Throws `RuntimeUnavailable` naming what was tried.
 */
export async function findCriSocket(candidates: readonly string[] = KNOWN_CRI_SOCKETS): Promise<string> {
  const kinds = await Promise.all(candidates.map(isSocket));
  const sockets = candidates.filter((_, index) => kinds[index]);
  const [first] = sockets;
  if (first === undefined) {
    throw new ControllerError('RuntimeUnavailable', `no container runtime socket at ${candidates.join(', ')}`, {
      hint: "Mount the directory of the runtime's socket into the agent, or name the socket with --cri-socket.",
    });
  }
  if (sockets.length === 1) return first;
  for (const socketPath of sockets) {
    if (await servesCri(socketPath)) return socketPath;
  }
  // All are silent, perhaps because the node is starting: the caller's retries say what is wrong with this one.
  return first;
}

async function isSocket(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket();
  } catch {
    return false;
  }
}

async function servesCri(socketPath: string): Promise<boolean> {
  const runtime = createCriRuntime({ socketPath });
  try {
    await runtime.version();
    return true;
  } catch (error: unknown) {
    if (isControllerError(error)) return false;
    throw error;
  } finally {
    runtime.close();
  }
}
