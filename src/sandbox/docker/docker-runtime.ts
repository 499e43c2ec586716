import type { SandboxDetails, SandboxRuntime } from '../sandbox.ts';
import type { DockerEngine } from './engine.ts';

/** What cri-dockerd calls itself in CRI's Version. */
const DOCKER = 'docker';

/**
 * A runtime that names netns paths, whichever is behind `cri`. The answers of cri-dockerd hold none, nor a pid, however verbosely it is
 * asked, so Docker is asked for those of its sandboxes; the answers of other runtimes pass as they are, and `engine` is left alone.
 */
export function withDockerNetns(cri: SandboxRuntime, engine: DockerEngine): SandboxRuntime {
  let name: string | undefined;

  async function isDocker(): Promise<boolean> {
    name ??= (await cri.version()).name;
    return name === DOCKER;
  }

  async function complete(details: SandboxDetails): Promise<SandboxDetails | undefined> {
    // cri-dockerd calls a sandbox ready when its first process runs, which is before CNI has made its network; it tells no address until
    // then. Kubelet replaces a sandbox that never gets one, so this passes.
    if (details.ips.length === 0) return { ...details, ready: false };
    const container = await engine.inspect(details.id);
    if (container === undefined) return undefined;
    return { ...details, ready: container.running, netnsPath: container.netnsPath, pid: container.pid };
  }

  return {
    version: () => cri.version(),
    listReady: (podUid) => cri.listReady(podUid),
    details: async (sandboxId) => {
      const details = await cri.details(sandboxId);
      const isWhole = details === undefined || details.netnsPath !== undefined || details.hostNetwork || !details.ready;
      return isWhole || !(await isDocker()) ? details : await complete(details);
    },
    close: () => {
      cri.close();
      engine.close();
    },
  };
}
