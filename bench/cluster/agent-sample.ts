import type { Agent } from '../../test/support/cluster-agent.ts';
import { usageOf } from '../process-usage.ts';

/** The agent at one moment. */
export interface AgentSample {
  readonly atMs: number;
  readonly rssMiB: number;
  /** Of `rssMiB`, what is not a file's. */
  readonly anonMiB: number;
  /** User and system time of its process since it began. */
  readonly cpuMs: number;
}

const EVENT_LOOP = /^istio_pod_network_controller_[a-z_]*event_?loop[a-z_]*(\{[^}]*\})? \S+$/;

export function sampleAgent({ pid }: Pick<Agent, 'pid'>): AgentSample {
  const { cpuSeconds, rssMiB, anonMiB } = usageOf(pid);
  return { atMs: performance.now(), rssMiB, anonMiB, cpuMs: cpuSeconds * 1_000 };
}

/** Share of one processor between two samples, in percent. */
export function cpuPercent(from: AgentSample, to: AgentSample): number {
  return ((to.cpuMs - from.cpuMs) * 100) / (to.atMs - from.atMs);
}

/** What the agent itself says of its event loop's delay; nothing while it has no such metric. */
export async function eventLoopLines({ ip }: Pick<Agent, 'ip'>): Promise<readonly string[]> {
  const response = await fetch(`http://${ip}:15014/metrics`, { signal: AbortSignal.timeout(10_000) });
  return (await response.text()).split('\n').filter((line) => EVENT_LOOP.test(line) && !line.includes('_bucket'));
}

/** By least squares: what a straight line through these points rises per unit of x. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  const mean = (of: 'x' | 'y') => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [meanX, meanY] = [mean('x'), mean('y')];
  let [products, squares] = [0, 0];
  for (const { x, y } of points) {
    products += (x - meanX) * (y - meanY);
    squares += (x - meanX) ** 2;
  }
  return products / squares;
}
