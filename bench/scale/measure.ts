import { cachedParts } from '../../lab/parts.ts';
import { startApiServer } from './api-server.ts';
import { startPopulation } from './populate.ts';
import { runStage, type Stage, type StagePlan } from './stage.ts';

/** What `measureScale` does; `DEFAULT_PLAN` takes less than six minutes with 1,000 nodes on two cores. */
export interface ScalePlan extends StagePlan {
  /** One cluster grows from each number to the next. */
  readonly nodes: readonly number[];
  readonly podsPerNode: number;
  readonly namespaces: number;
}

export const DEFAULT_PLAN: ScalePlan = {
  nodes: [1_000],
  podsPerNode: 10,
  namespaces: 100,
  processes: 2,
  idleSeconds: 30,
  churnPods: 300,
  churnPerSecond: 20,
  fanOutRounds: 3,
  pausesMs: [20_000],
  replacements: 1,
  comparedPods: 200,
  times: {},
};

export interface ScaleOptions {
  readonly plan: ScalePlan;
  readonly say: (line: string) => void;
  /** Ends all that was started; what was measured until then has been handed over. */
  readonly signal: AbortSignal;
  readonly onStage: (stage: Stage) => void;
  /** A folder with etcd and kube-apiserver; the lab's by default. */
  readonly bin?: string;
}

/** Starts a cluster of its own, measures at each size, and leaves nothing behind. */
export async function measureScale({ plan, say, signal, onStage, bin }: ScaleOptions): Promise<void> {
  const server = await startApiServer(bin ?? cachedParts().bin);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  // Also where nobody waits for it.
  aborted.catch(() => undefined);
  const end = () => reject(signal.reason);
  signal.addEventListener('abort', end);
  try {
    signal.throwIfAborted();
    say('etcd and kube-apiserver are ready');
    const population = await startPopulation(server, plan);
    for (const nodes of plan.nodes) {
      const growMs = performance.now();
      await population.grow(nodes);
      const seconds = ((performance.now() - growMs) / 1_000).toFixed(1);
      say(`${nodes} nodes with ${plan.podsPerNode} mesh pods each, after ${seconds} s`);
      const stage = runStage(server, population, { nodes, plan, say: (line) => say(`  ${line}`) });
      onStage(await Promise.race([stage, aborted]));
    }
  } finally {
    signal.removeEventListener('abort', end);
    await server.close();
  }
}
