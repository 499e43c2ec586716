import { Agent, request } from 'node:https';
import { STATUS_ANNOTATION } from '../../src/agent/report.ts';
import { patchAnnotations } from '../../src/kube/patch.ts';
import { createTransport } from '../../src/kube/request.ts';
import type { ApiServer } from './api-server.ts';
import { monotonicMs } from './monotonic.ts';
import { meshPod, namespaceName } from './objects.ts';
import type { Population } from './populate.ts';
import { usageOf } from '../process-usage.ts';
import { parseMetrics, total } from './server-metrics.ts';

/** What others ask the API server for, beside what we do: same server, same pods, one request after another. */
export interface Comparison {
  readonly pods: number;
  readonly onePatchMs: readonly number[];
  readonly sixReadsMs: readonly number[];
  readonly serverCpuMsPerPatch: number;
  /** Of the time of a patch inside the server: in the chart's policies, by its own clock. */
  readonly policiesMsPerPatch: number;
  readonly serverCpuMsPerSixReads: number;
  /** One list of all pods out of the watch cache: what an agent that does not select its node asks for when it starts. */
  readonly allPodsListMs: readonly number[];
  readonly allPodsListBytes: number;
  readonly allPodsListServerCpuSeconds: number;
}

const LISTS = 2;
const READS_PER_POD = 6;
const TIMEOUT_MS = 30_000;
const never = new AbortController().signal;

export async function compare(server: ApiServer, population: Population, pods: number): Promise<Comparison> {
  const [agent] = population.agents;
  if (agent === undefined) throw new Error('there is no agent to compare with');
  const created = await createPods(server, { pods, node: agent.node });
  // As the agent of that node, so that the policy which holds agents to their node is a part of the cost.
  const credentials = { current: () => ({ token: agent.token, ca: server.ca }), refresh: () => undefined };
  const ours = createTransport({ baseUrl: server.url, credentials, observe: () => undefined });
  const annotations = { [STATUS_ANNOTATION]: 'initialized' };
  const writing = { timeoutMs: TIMEOUT_MS, signal: never };
  const policiesBefore = await policySeconds(server);
  const patches = await costs(server, created, async ({ path, uid }) => {
    await patchAnnotations(ours, { path: `${path}/status`, uid, annotations }, writing);
  });
  ours.close();
  const policiesMsPerPatch = (((await policySeconds(server)) - policiesBefore) * 1_000) / pods;
  const reads = await costs(server, created, async ({ path }) => {
    for (let read = 0; read < READS_PER_POD; read += 1) {
      const what = read % 3 === 2 ? `/api/v1/namespaces/${namespaceName(0)}` : path;
      const asked = { method: 'GET', verb: 'get', resource: 'pods', path: what, timeoutMs: TIMEOUT_MS } as const;
      await server.admin.json(asked, never);
    }
  });
  let bytes = 0;
  const lists = await costs(server, Array.from({ length: LISTS }), async () => {
    bytes = await allPodsBytes(server);
  });
  return {
    pods,
    onePatchMs: patches.ms,
    sixReadsMs: reads.ms,
    serverCpuMsPerPatch: patches.serverCpuMs,
    policiesMsPerPatch,
    serverCpuMsPerSixReads: reads.serverCpuMs,
    allPodsListMs: lists.ms,
    allPodsListBytes: bytes,
    allPodsListServerCpuSeconds: lists.serverCpuMs / 1_000,
  };
}

async function policySeconds(server: ApiServer): Promise<number> {
  const samples = parseMetrics(await server.text('/metrics'));
  // What is kept by policy counts only what was refused.
  const labels = { name: 'ValidatingAdmissionPolicy', operation: 'UPDATE' };
  return total(samples, 'apiserver_admission_controller_admission_duration_seconds_sum', labels);
}

interface CreatedPod {
  readonly path: string;
  readonly uid: string;
}

async function createPods(
  server: ApiServer,
  { pods, node }: { readonly pods: number; readonly node: number },
): Promise<CreatedPod[]> {
  const created: CreatedPod[] = [];
  const round = Math.round(monotonicMs());
  for (let index = 0; index < pods; index += 1) {
    const { path, body } = meshPod({ name: `compared-${round}-${index}`, node, namespace: 0 });
    const asked = { method: 'POST', verb: 'create', resource: 'pods', path, timeoutMs: TIMEOUT_MS } as const;
    const answer = await server.admin.json({ ...asked, body: { contentType: 'application/json', json: body } }, never);
    const { metadata } = answer as { readonly metadata: { readonly uid: string; readonly name: string } };
    created.push({ path: `${path}/${metadata.name}`, uid: metadata.uid });
  }
  return created;
}

/** Each piece of work by itself, and what all of them cost the server on average. */
async function costs<T>(
  server: ApiServer,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<{ readonly ms: readonly number[]; readonly serverCpuMs: number }> {
  const beforeSeconds = usageOf(server.pid()).cpuSeconds;
  const ms: number[] = [];
  for (const item of items) {
    const startMs = monotonicMs();
    await work(item);
    ms.push(monotonicMs() - startMs);
  }
  return { ms, serverCpuMs: ((usageOf(server.pid()).cpuSeconds - beforeSeconds) * 1_000) / items.length };
}

/** Read and thrown away: such a list may be larger than anything our client takes. */
function allPodsBytes(server: ApiServer): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const headers = { authorization: `Bearer ${server.adminToken}`, accept: 'application/json' };
  const options = { ca: server.ca, headers, agent: new Agent({ keepAlive: false }) };
  const sent = request(new URL('/api/v1/pods?resourceVersion=0', server.url), options, (response) => {
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    response.on('error', reject);
    response.on('end', () => resolve(bytes));
  });
  sent.on('error', reject);
  sent.end();
  return promise;
}
