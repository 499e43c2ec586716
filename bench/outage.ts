import { parseArgs } from 'node:util';
import { agentAway, agentMayReturn, readyAgent } from '../test/support/cluster-agent.ts';
import { tryKubectl } from '../test/support/cluster.ts';
import { createStartNamespaces, deleteStartNamespaces, startOne } from './cluster/start-pods.ts';
import { spread } from './spread.ts';

/**
 * Do pods that are not ours start as fast while everything of ours is away? Blocks of unmeshed pods, one after another, with agent and
 * webhook up and away in turn, in one run: from the request to the first instruction of the container. Needs the lab with the chart.
 * `node bench/outage.ts [--blocks 4] [--pods 10]`
 */
const { values } = parseArgs({
  options: { blocks: { type: 'string', default: '4' }, pods: { type: 'string', default: '10' } },
});
const WEBHOOK = 'deployment/istio-pod-network-controller-webhook';
const startsMs: Record<'up' | 'away', number[]> = { up: [], away: [] };

await createStartNamespaces();
try {
  await readyAgent();
  await startUnmeshed();
  for (let block = 0; block < Number(values.blocks); block += 1) {
    for (const state of ['up', 'away'] as const) await measureBlock(state);
  }
  report();
} finally {
  await ours('up');
  await deleteStartNamespaces();
}

async function measureBlock(state: 'up' | 'away'): Promise<void> {
  await ours(state);
  for (let turn = 0; turn < Number(values.pods); turn += 1) startsMs[state].push(await startUnmeshed());
}

/** All of ours away: no agent on the node, no webhook behind its Service. */
async function ours(state: 'up' | 'away'): Promise<void> {
  const scale = ['scale', '-n', 'istio-pod-network-controller', WEBHOOK, `--replicas=${state === 'up' ? 2 : 0}`];
  await tryKubectl(scale);
  if (state === 'away') return agentAway();
  await agentMayReturn();
  await readyAgent();
  return undefined;
}

/** Its Namespace is one that Istio injects; the pod itself opted out, of that and of everything that follows. */
async function startUnmeshed(): Promise<number> {
  return (await startOne('plain', 'NRI')).startMs;
}

function report(): void {
  process.stdout.write('an unmeshed pod, from the request to its first instruction, ms\n');
  for (const [state, times] of Object.entries(startsMs)) {
    const { p50, p90, max } = spread(times);
    process.stdout.write(`  ours ${state.padEnd(5)} n ${times.length}  p50 ${p50}  p90 ${p90}  max ${max}\n`);
  }
  const ratio = (share: 'p50' | 'p90') => (spread(startsMs.away)[share] / spread(startsMs.up)[share]).toFixed(3);
  process.stdout.write(`  away over up: p50 ${ratio('p50')}, p90 ${ratio('p90')}\n`);
}
