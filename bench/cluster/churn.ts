import { network } from '../../lab/paths.ts';
import type { Agent } from '../../test/support/cluster-agent.ts';
import { appPod } from '../../test/support/cluster-pods.ts';
import { INITIALIZE } from '../../test/support/cluster.ts';
import type { Context } from '../question.ts';
import { countAgentRequests } from './agent-requests.ts';
import { sampleAgent } from './agent-sample.ts';
import { createPod, eraseObject } from './api.ts';
import { createSandboxMaker, type SandboxMaker } from './cri-sandboxes.ts';
import { inParallel } from './in-parallel.ts';
import { proxyContainer } from './proxy-container.ts';
import { type StatusWatch, watchStatus } from './status-watch.ts';
import { withoutKubelet } from './without-kubelet.ts';

/** What came of so many pods that came and went. */
export interface Churned {
  readonly pods: number;
  readonly seconds: number;
  readonly cpuMsPerPod: number;
  readonly samples: readonly { readonly done: number; readonly rssMiB: number }[];
  readonly requests: ReadonlyMap<string, number>;
}

const PARALLEL = 6;
const SAMPLES = 100;
const REPORT_TIMEOUT_MS = 60_000;

/** Makes pods and takes them away as soon as the agent has captured them and said so; samples the agent all the while. */
export async function churn(options: {
  readonly agent: Agent;
  readonly namespace: string;
  readonly pods: number;
  readonly ctx: Pick<Context, 'say'>;
  readonly over: AbortSignal;
}): Promise<Churned> {
  const { agent, namespace, pods, ctx, over } = options;
  const requestCount = countAgentRequests();
  const from = sampleAgent(agent);
  const samples = [{ done: 0, rssMiB: from.rssMiB }];
  const sampleEvery = Math.max(1, Math.floor(pods / SAMPLES));
  let done = 0;
  await withoutKubelet(async () => {
    const sandboxes = createSandboxMaker();
    const status = watchStatus(namespace);
    const tasks = Array.from({ length: pods }, (_, index) => async () => {
      await comeAndGo({ namespace, name: `churn-${index}`, sandboxes, status });
      done += 1;
      if (done % sampleEvery !== 0) return;
      samples.push({ done, rssMiB: sampleAgent(agent).rssMiB });
      if (done % (sampleEvery * 10) !== 0) return;
      requestCount.collect();
      ctx.say(`${done} pods churned: ${samples.at(-1)?.rssMiB.toFixed(1)} MiB`);
    });
    try {
      await inParallel(tasks, { workers: PARALLEL, signal: over });
    } finally {
      status.close();
      sandboxes.close();
    }
  });
  const to = sampleAgent(agent);
  return {
    pods: done,
    seconds: (to.atMs - from.atMs) / 1_000,
    cpuMsPerPod: (to.cpuMs - from.cpuMs) / done,
    samples,
    requests: await requestCount.finish(),
  };
}

async function comeAndGo(options: {
  readonly namespace: string;
  readonly name: string;
  readonly sandboxes: SandboxMaker;
  readonly status: StatusWatch;
}): Promise<void> {
  const { namespace, name, sandboxes, status } = options;
  const pod = await createPod(namespace, churnedPod(name));
  const sandboxId = await sandboxes.run(pod);
  try {
    const said = await status.reported(name, REPORT_TIMEOUT_MS);
    if (said !== 'initialized') throw new Error(`${name}: the agent says ${said}`);
  } finally {
    await sandboxes.stopAndRemove(sandboxId);
    await eraseObject(pod);
  }
}

/** Bound to the node from the start: no scheduler has to. */
function churnedPod(name: string): object {
  return appPod(name, {
    annotations: { [INITIALIZE]: 'true' },
    containers: [proxyContainer(['proxy', 'sidecar'])],
    spec: { nodeName: network.nodeName, automountServiceAccountToken: false },
  });
}
