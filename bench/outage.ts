import { Agent } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { CLIENT_IMAGE } from '../lab/bookinfo/build.ts';
import { agentAway, agentMayReturn, readyAgent } from '../test/support/cluster-agent.ts';
import { ask, clusterAdmin } from '../test/support/cluster-tokens.ts';
import { createNamespace, deleteNamespaces, tryKubectl } from '../test/support/cluster.ts';
import { spread } from './spread.ts';

/**
 * Do pods that are not ours start as fast while everything of ours is away? Blocks of unmeshed pods, one after another, with agent and
 * webhook up and away in turn, in one run: from the request to the first instruction of the container. Needs the lab with the chart.
 * `node bench/outage.ts [--blocks 4] [--pods 10]`
 */
const { values } = parseArgs({
  options: { blocks: { type: 'string', default: '4' }, pods: { type: 'string', default: '10' } },
});
const NAMESPACE = 'pnc-bench-outage';
const WEBHOOK = 'deployment/istio-pod-network-controller-webhook';
const admin = clusterAdmin();
// kubectl's own start would be a tenth of what is measured.
const connections = new Agent({ keepAlive: true });
const startsMs: Record<'up' | 'away', number[]> = { up: [], away: [] };

await createNamespace(NAMESPACE);
try {
  await readyAgent();
  await startOne('warm-up');
  for (let block = 0; block < Number(values.blocks); block += 1) {
    for (const state of ['up', 'away'] as const) await measureBlock(state, block);
  }
  report();
} finally {
  await ours('up');
  await deleteNamespaces([NAMESPACE]);
  connections.destroy();
}

async function measureBlock(state: 'up' | 'away', block: number): Promise<void> {
  await ours(state);
  for (let index = 0; index < Number(values.pods); index += 1) {
    startsMs[state].push(await startOne(`${state}-${block}-${index}`));
  }
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

/** Milliseconds from the request to the container's first instruction; the pod is gone again afterwards. */
async function startOne(name: string): Promise<number> {
  const pods = `/api/v1/namespaces/${NAMESPACE}/pods`;
  const requestedMs = Date.now();
  await call('POST', pods, pod(name));
  for (;;) {
    const { message } = await ask(admin, { path: `${pods}/${name}/log`, connections });
    const firstAt = /"firstAt":"([^"]+)"/.exec(message)?.[1];
    if (firstAt === undefined) {
      await delay(20);
      continue;
    }
    await call('DELETE', `${pods}/${name}`);
    return Date.parse(firstAt) - requestedMs;
  }
}

async function call(method: 'POST' | 'DELETE', path: string, body?: object): Promise<void> {
  const { status, message } = await ask(admin, { method, path, body, connections });
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${message}`);
}

/** Prints the time of its first instruction. It dials its own loopback, where nothing listens. */
function pod(name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 0,
      restartPolicy: 'Never',
      containers: [
        {
          name: 'app',
          image: CLIENT_IMAGE,
          imagePullPolicy: 'IfNotPresent',
          args: ['dial', '--for-ms', '1', '127.0.0.1:1'],
        },
      ],
    },
  };
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
