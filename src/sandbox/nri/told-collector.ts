import type { Log } from '../../telemetry/log.ts';
import type { SynchronizeRequest } from './gen/nri_pb.ts';
import type { ToldContainer, ToldSandbox } from './plugin-hooks.ts';
import { toldContainer, toldSandbox } from './told.ts';

/** Puts the parts of a Synchronize together, up to a bound. */
export interface ToldCollector {
  add(part: SynchronizeRequest): void;
  /** All of it; begins anew. */
  take(): { readonly sandboxes: readonly ToldSandbox[]; readonly containers: readonly ToldContainer[] };
}

/** Kubelet runs 110 pods on a node unless told otherwise, and 500 at the very most. Ended ones are told too until they are collected. */
export const SANDBOXES_MAX = 5_000;
export const CONTAINERS_MAX = 20_000;

/**
 * What is beyond the bounds is left out, not an error: the agent finds its pods without the runtime telling, and an error would end
 * the connection, again and again.
 */
export function createToldCollector(log: Log): ToldCollector {
  let sandboxes: ToldSandbox[] = [];
  let containers: ToldContainer[] = [];
  let leftOut = 0;

  return {
    add: (part) => {
      const pods = part.pods.slice(0, SANDBOXES_MAX - sandboxes.length);
      const running = part.containers.slice(0, CONTAINERS_MAX - containers.length);
      leftOut += part.pods.length - pods.length + part.containers.length - running.length;
      for (const pod of pods) sandboxes.push(toldSandbox(pod));
      for (const container of running) containers.push(toldContainer(container));
    },
    take: () => {
      if (leftOut > 0) log.warn('the runtime tells of more sandboxes and containers than are kept', { leftOut });
      const told = { sandboxes, containers };
      sandboxes = [];
      containers = [];
      leftOut = 0;
      return told;
    },
  };
}
