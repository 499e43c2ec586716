import type { SandboxRuntime } from '../sandbox/sandbox.ts';
import type { ToldSandboxes } from './told-sandboxes.ts';

/**
 * One runtime to ask: what it told in its hooks is answered from memory, the rest by CRI. A sandbox that no hook told of (its hook came
 * while the agent was away, or was lost between registration and Synchronize, as on containerd 1.7) is found by CRI as without NRI.
 */
export function createSandboxSource(cri: SandboxRuntime, told: ToldSandboxes): SandboxRuntime {
  return {
    version: () => cri.version(),
    listReady: async (podUid) => {
      // The whole node is asked for by the look that finds what no hook told: memory cannot answer that.
      const known = podUid === undefined ? [] : told.readyOf(podUid);
      return known.length > 0 ? known : cri.listReady(podUid);
    },
    details: async (sandboxId) => told.details(sandboxId) ?? cri.details(sandboxId),
    close: () => cri.close(),
  };
}
