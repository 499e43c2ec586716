import { setTimeout as delay } from 'node:timers/promises';
import { STATUS_ANNOTATION } from '../../src/agent/report.ts';
import { nowMs, sleep, wallClock } from '../../src/commands/clock.ts';
import { createKubeClient } from '../../src/kube/kube-client.ts';
import { parsePod } from '../../src/pod/parse-pod.ts';
import type { ApiServer } from './api-server.ts';
import type { Crew } from './crew.ts';
import { sumByKind } from './herd.ts';
import { monotonicMs } from './monotonic.ts';
import { CHURN_LABEL, meshPod } from './objects.ts';
import { usageOf } from '../process-usage.ts';

/** Pods that start while somebody looks. Milliseconds, a value per pod. */
export interface Churn {
  readonly pods: number;
  readonly perSecond: number;
  /** Pod sent to the API server → known to its node's agent. */
  readonly toAgentMs: readonly number[];
  /** Patch sent → answered. */
  readonly patchMs: readonly number[];
  /** Patch sent → another watcher knows: what kubelet, and with it the pod, would wait for. */
  readonly toWatcherMs: readonly number[];
  /** Of what the agents asked meanwhile: verb, resource, status. */
  readonly requests: Readonly<Record<string, number>>;
  readonly failed: Readonly<Record<string, number>>;
  readonly serverCpuSeconds: number;
  readonly agentReceivedBytes: number;
}

/** What a pod may take from its creation until the watcher knows of the annotation. */
const PATIENCE_MS = 30_000;

/** Starts pods at an even rate, all over the cluster; each agent annotates its own, and a watcher beside looks on. */
export async function churn(
  server: ApiServer,
  crew: Crew,
  wanted: { readonly round: string; readonly pods: number; readonly perSecond: number; readonly namespaces: number },
): Promise<Churn> {
  const seenMs = new Map<string, number>();
  const watcher = await watchAnnotations(server, wanted.round, seenMs);
  const before = await crew.report({ clear: true });
  const { cpuSeconds } = usageOf(server.pid());
  const sentMs = new Map<string, number>();
  const creating: Promise<unknown>[] = [];
  for (let index = 0; index < wanted.pods; index += 1) {
    const namespace = index % wanted.namespaces;
    // Spread over the nodes; neighbours in time are not neighbours in a process of agents.
    const node = Math.floor((index * crew.size) / wanted.pods);
    const labels = { [CHURN_LABEL]: wanted.round };
    const { path, body } = meshPod({ name: `${wanted.round}-${index}`, node, namespace, labels });
    sentMs.set(`${path.split('/')[4]}/${wanted.round}-${index}`, monotonicMs());
    creating.push(
      server.admin.write(
        {
          method: 'POST',
          verb: 'create',
          resource: 'pods',
          path,
          body: { contentType: 'application/json', json: body },
          timeoutMs: 30_000,
        },
        watcher.signal,
      ),
    );
    await delay(1_000 / wanted.perSecond);
  }
  await Promise.all(creating);
  await watcher.knows(wanted.pods, PATIENCE_MS);
  watcher.close();
  const after = await crew.report({ clear: true });
  const patched = after.landings.filter(({ result }) => result === 'patched');
  const failed: Record<string, number> = {};
  for (const { result } of after.landings) if (result !== 'patched') failed[result] = (failed[result] ?? 0) + 1;
  const since = (times: ReadonlyMap<string, number>, key: string) => times.get(key) ?? Number.NaN;
  return {
    pods: wanted.pods,
    perSecond: wanted.perSecond,
    toAgentMs: after.landings.map((landing) => landing.seenMs - since(sentMs, landing.key)),
    patchMs: patched.map((landing) => landing.answeredMs - landing.sentMs),
    toWatcherMs: patched
      .filter(({ key }) => seenMs.has(key))
      .map((landing) => since(seenMs, landing.key) - landing.sentMs),
    requests: sumByKind(after.requests),
    failed,
    serverCpuSeconds: usageOf(server.pid()).cpuSeconds - cpuSeconds,
    agentReceivedBytes: after.receivedBytes - before.receivedBytes,
  };
}

/** Somebody else who watches these pods, with a watch of their own in another process. */
async function watchAnnotations(server: ApiServer, round: string, seenMs: Map<string, number>) {
  const stop = new AbortController();
  const credentials = { current: () => ({ token: server.adminToken, ca: server.ca }), refresh: () => undefined };
  const opened = Promise.withResolvers<void>();
  const changed = new EventTarget();
  const kube = createKubeClient({
    baseUrl: server.url,
    credentials,
    observe: ({ verb, code }) => {
      if (verb === 'watch' && code === '200') opened.resolve();
    },
    clock: { nowMs, wallClock, sleep, random: Math.random },
    nodeName: 'watcher',
  });
  const handlers = {
    onSynced: () => undefined,
    onUnusable: () => undefined,
    onTrouble: () => undefined,
    onChange: (key: string, change: { readonly type: string; readonly value?: ReturnType<typeof parsePod> }) => {
      if (change.value?.annotations[STATUS_ANNOTATION] === undefined || seenMs.has(key)) return;
      seenMs.set(key, monotonicMs());
      changed.dispatchEvent(new Event('change'));
    },
  };
  const labelSelector = `${CHURN_LABEL}=${round}`;
  void kube.listWatch(
    { path: '/api/v1/pods', resource: 'pods', labelSelector, project: parsePod, handlers },
    stop.signal,
  );
  await opened.promise;
  return {
    signal: stop.signal,
    close: () => {
      stop.abort();
      kube.close();
    },
    knows: async (pods: number, timeoutMs: number) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = () => {
        if (seenMs.size >= pods) resolve();
      };
      const late = setTimeout(resolve, timeoutMs);
      changed.addEventListener('change', look);
      look();
      await promise;
      clearTimeout(late);
      changed.removeEventListener('change', look);
    },
  };
}
