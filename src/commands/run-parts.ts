import { readFileSync } from 'node:fs';
import { runAgent } from '../agent/agent.ts';
import type { CaptureEffect } from '../agent/capture-netns.ts';
import { createReconciler } from '../agent/reconcile.ts';
import { createRecords } from '../agent/records.ts';
import { rehearse } from '../agent/rehearsal.ts';
import { createSandboxSource } from '../agent/sandbox-source.ts';
import { createSandboxWatch } from '../agent/sandbox-watch.ts';
import { carryOut } from '../agent/steps.ts';
import { createTeller } from '../agent/tell.ts';
import { createToldSandboxes } from '../agent/told-sandboxes.ts';
import type { RunConfig } from '../config/flags.ts';
import { apiServerUrl, serviceAccountCredentials, serviceAccountNamespace } from '../kube/credentials.ts';
import { createKubeClient } from '../kube/kube-client.ts';
import { parseNamespace, parsePod } from '../pod/parse-pod.ts';
import { podKey } from '../pod/pod.ts';
import type { SandboxRuntime } from '../sandbox/sandbox.ts';
import { measureEventLoopDelay } from '../telemetry/event-loop.ts';
import type { Health } from '../telemetry/health.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { nowMs, sleep, startTimer, wallClock } from './clock.ts';
import { desiredOptions } from './judge.ts';
import { runtimeHooks } from './run-hooks.ts';
import { watchedCollection } from './watched.ts';

export interface RunParts {
  readonly config: RunConfig;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly health: Health;
  /** Over CRI. */
  readonly runtime: SandboxRuntime;
  readonly capture: CaptureEffect;
}

/** The one place where the real effects of the agent are put together. Ends when `stop` aborts. */
export async function runParts(parts: RunParts, stop: AbortSignal): Promise<void> {
  const { config, log, metrics, health, capture } = parts;
  const kube = createKubeClient({
    baseUrl: apiServerUrl(process.env),
    credentials: serviceAccountCredentials(config.serviceAccountDir, nowMs),
    observe: (request) => metrics.count('apiRequests', { ...request }),
    clock: { nowMs, wallClock, sleep, random: Math.random },
    nodeName: config.nodeName,
  });
  const watching = { kube, log, metrics };
  const pods = watchedCollection({
    ...watching,
    path: '/api/v1/pods',
    resource: 'pods',
    fieldSelector: `spec.nodeName=${config.nodeName}`,
    project: parsePod,
  });
  const namespaces = watchedCollection({
    ...watching,
    path: '/api/v1/namespaces',
    resource: 'namespaces',
    project: parseNamespace,
  });
  const records = createRecords({
    nowMs,
    onDecision: (pod, { action, reason, message }) => {
      metrics.count('decisions', { action, reason });
      log.info('decided', { pod: podKey(pod), action, reason, why: message });
    },
  });
  let wake: (key: string) => void = () => undefined;
  const told = createToldSandboxes();
  const runtime = createSandboxSource(parts.runtime, told);
  const hooked = () => told.isConnected;
  // It looks for what no hook told of, so it asks CRI itself.
  const sandboxes = createSandboxWatch({
    runtime: parts.runtime,
    wake: (key) => wake(key),
    hooked,
    log,
    nowMs,
    sleep,
  });
  const teller = createTeller({
    records,
    patchAnnotations: (pod, annotations) =>
      kube.patchAnnotations({
        path: `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}/status`,
        uid: pod.uid,
        annotations,
      }),
    createEvent: (pod, notice) =>
      kube.createEvent({ ...notice, namespace: pod.namespace, podName: pod.name, podUid: pod.uid }),
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    wallClock,
    log,
  });
  const stepEffects = { capture, runtime, records, sandboxes, teller, nowMs, log, metrics };
  const desired = desiredOptions(config, serviceAccountNamespace(config.serviceAccountDir));
  const reconciler = createReconciler({
    stores: { pod: (key) => pods.get(key), namespace: (name) => namespaces.get(name) },
    runtime,
    nameserversOf: async (sandboxId) => (await parts.runtime.details(sandboxId))?.nameservers,
    records,
    sandboxes,
    desired,
    carryOut: (step, context) => carryOut(stepEffects, step, context),
    random: Math.random,
  });
  if (config.nri === 'auto' && capture.preferredBackend() === 'nft') rehearse(desired, log);
  const hooks = runtimeHooks({
    ...{ config, reconciler, pods, namespaces, told, records, runtime, log, metrics },
    enrollment: desired.enrollment,
    wake: (key) => wake(key),
  });
  const eventLoop = measureEventLoopDelay();
  try {
    await runAgent(
      {
        ...{ pods, namespaces, sandboxes, records, health, metrics, log, nowMs, startTimer, sleep },
        reconcile: (key) => reconciler.turn(key),
        onChange: () => hooks.changed(),
        serveHooks: (signal) => hooks.serve(signal),
        onHousekeeping: () => eventLoop.report(metrics),
        onQueue: (add) => {
          wake = add;
        },
      },
      stop,
    );
  } finally {
    eventLoop.stop();
    kube.close();
  }
}
