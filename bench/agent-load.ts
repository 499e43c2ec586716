import { setTimeout as delay } from 'node:timers/promises';
import { type Agent, readyAgent, restartAgent } from '../test/support/cluster-agent.ts';
import { createNamespace, deleteNamespaces } from '../test/support/cluster.ts';
import { agentResult, type NodeAgent, type Rest } from './agent-load-result.ts';
import { countAgentRequests, type RequestCount } from './cluster/agent-requests.ts';
import { eventLoopLines, sampleAgent } from './cluster/agent-sample.ts';
import { type Churned, churn } from './cluster/churn.ts';
import { budgetMinutes, count, isFull } from './cluster/counts.ts';
import { measuringTime } from './cluster/measuring-time.ts';
import { createStage, NO_CARRIER } from './cluster/environment.ts';
import { istioCniAgentPid } from './cluster/istio-cni-agent.ts';
import { createRestingPods } from './cluster/resting-pods.ts';
import { workingSetMiB } from './cluster/working-set.ts';
import type { Context, Question } from './question.ts';
import type { Result } from './result.ts';

/**
 * What does the agent cost? Its memory, processor time and event loop at rest with 0, 50 and 110 real mesh pods, its memory over a churn of
 * pods, and what it asks the API server for. The churn leaves kubelet out, which would take a second a pod: the pods stand in the API, bound
 * to the node; their sandboxes are made in the real runtime with real network namespaces; no container runs in them. To the agent there is
 * no difference: it watches, matches, enters, proves, marks and reports.
 */
const LEVELS = [0, 50, 110].map((pods) => Math.min(pods, count('agent-pods')));
const REST_MS = 1_000 * count('agent-rest-s');
const CHURN_PODS = count('churn');
const SETTLE_MS = isFull ? 10_000 : 5_000;
const NAMESPACE = 'pnc-bench-agent';

export const agentLoad: Question = {
  id: 'e',
  title: 'What does the agent cost?',
  budgetMinutes: budgetMinutes({ usual: 5, full: 120 }),
  needs: 'lab',
  run: async (ctx) => [await measure(ctx)],
};

async function measure(ctx: Context): Promise<Result> {
  const stage = createStage(NO_CARRIER);
  const over = measuringTime(ctx, 'the product');
  const rests: Rest[] = [];
  let churned: Churned | undefined;
  let beside: NodeAgent | undefined;
  await createNamespace(NAMESPACE);
  try {
    await stage.enter('NRI');
    const agent = await restartAgent();
    let pods = 0;
    for (const level of LEVELS) {
      if (over.aborted) break;
      const requestCount = countAgentRequests();
      await createRestingPods(NAMESPACE, { from: pods, to: level });
      rests.push(await rest(agent, { pods: level, newPods: level - pods, requestCount }));
      pods = level;
      ctx.say(`${level} pods: ${rests.at(-1)?.to.rssMiB.toFixed(1)} MiB`);
    }
    await deleteNamespaces([NAMESPACE]);
    await createNamespace(NAMESPACE);
    if (!over.aborted) churned = await churn({ agent, namespace: NAMESPACE, pods: CHURN_PODS, ctx, over });
    if ((await readyAgent()).pid !== agent.pid) throw new Error('the agent was restarted while it was measured');
    if (isFull && !over.aborted) {
      await stage.enter('istio-cni');
      await delay(SETTLE_MS);
      beside = memoryOf(await istioCniAgentPid());
    }
  } finally {
    await deleteNamespaces([NAMESPACE]);
    await stage.restore();
  }
  return agentResult(ctx, { rests, churned, istioCni: beside });
}

async function rest(
  agent: Agent,
  {
    pods,
    newPods,
    requestCount,
  }: { readonly pods: number; readonly newPods: number; readonly requestCount: RequestCount },
): Promise<Rest> {
  await delay(SETTLE_MS);
  const requests = await requestCount.finish();
  const from = sampleAgent(agent);
  const rssMiB: number[] = [];
  while (performance.now() - from.atMs < REST_MS) {
    rssMiB.push(sampleAgent(agent).rssMiB);
    await delay(1_000);
  }
  const to = sampleAgent(agent);
  const memory = memoryOf(agent.pid);
  return { pods, newPods, from, to, rssMiB, memory, requests, eventLoop: await eventLoopLines(agent) };
}

function memoryOf(pid: number): NodeAgent {
  const { rssMiB, anonMiB } = sampleAgent({ pid });
  return { rssMiB, anonMiB, workingSetMiB: workingSetMiB(pid) };
}
