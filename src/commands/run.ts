import { readFileSync } from 'node:fs';
import { runAgent } from '../agent/agent.ts';
import { type CaptureEffect, captureEffect } from '../agent/capture-netns.ts';
import { createReconciler } from '../agent/reconcile.ts';
import { createRecords } from '../agent/records.ts';
import { createSandboxWatch } from '../agent/sandbox-watch.ts';
import { carryOut } from '../agent/steps.ts';
import { createTeller } from '../agent/tell.ts';
import { resolveFlags, type Values } from '../config/flag.ts';
import { RUN_FLAGS } from '../config/flags.ts';
import { apiServerUrl, serviceAccountCredentials, serviceAccountNamespace } from '../kube/credentials.ts';
import { createKubeClient } from '../kube/kube-client.ts';
import { parseNamespace, parsePod } from '../pod/parse-pod.ts';
import { podKey } from '../pod/pod.ts';
import { createCriRuntime } from '../sandbox/cri/client.ts';
import { findCriSocket } from '../sandbox/cri/find-socket.ts';
import type { SandboxRuntime } from '../sandbox/sandbox.ts';
import { createHealth, type Health } from '../telemetry/health.ts';
import { createLog, type Log } from '../telemetry/log.ts';
import { createMetrics, type Metrics } from '../telemetry/metrics.ts';
import { serveTelemetry } from '../telemetry/server.ts';
import { nowMs, sleep, startTimer, wallClock } from './clock.ts';
import type { Given } from './given.ts';
import { desiredOptions } from './judge.ts';
import { stopSignal } from './stop-signal.ts';
import { productVersion } from './version.ts';
import { watchedCollection } from './watched.ts';

type RunConfig = Values<typeof RUN_FLAGS>;

/** `run`: the node agent, until SIGTERM. The one place where its real effects are made and put together. */
export async function runVerb(given: Given): Promise<number> {
  const config = resolveFlags(RUN_FLAGS, given, process.env);
  const log = createLog(config.logLevel);
  const metrics = createMetrics(productVersion());
  const health = createHealth(nowMs);
  const stop = stopSignal(log);
  log.info('starting', { version: productVersion(), node: config.nodeName });
  warnOfUnused(config, log);
  const server = await serveTelemetry({ port: config.metricsPort, metrics, health });
  const socketPath = config.criSocket || config.crioSocket || (await findCriSocket());
  const runtime = createCriRuntime({ socketPath });
  try {
    const capture = await captureEffect({ backend: config.backend });
    log.info('rules are written by', { backend: capture.preferredBackend() });
    health.done('nftWorks');
    void announceRuntime(runtime, log);
    await agentWith({ config, log, metrics, health, runtime, capture }, stop);
    log.info('stopped; captured pods stay captured');
    return 0;
  } finally {
    runtime.close();
    server.close();
    server.closeAllConnections();
  }
}

interface Parts {
  readonly config: RunConfig;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly runtime: SandboxRuntime;
  readonly capture: CaptureEffect;
}

async function agentWith({ config, log, metrics, health, runtime, capture }: Parts, stop: AbortSignal): Promise<void> {
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
  const sandboxes = createSandboxWatch({ runtime, wake: (key) => wake(key), log, nowMs, sleep });
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
  const reconcile = createReconciler({
    stores: { pod: (key) => pods.get(key), namespace: (name) => namespaces.get(name) },
    runtime,
    records,
    sandboxes,
    desired: desiredOptions(config, serviceAccountNamespace(config.serviceAccountDir)),
    carryOut: (step, context) => carryOut(stepEffects, step, context),
    random: Math.random,
  });
  const onQueue = (add: (key: string) => void) => {
    wake = add;
  };
  try {
    await runAgent(
      { pods, namespaces, sandboxes, records, reconcile, onQueue, health, metrics, log, nowMs, startTimer, sleep },
      stop,
    );
  } finally {
    kube.close();
  }
}

/** Which runtime answers is worth a line; that none does yet is not worth dying for. */
async function announceRuntime(runtime: SandboxRuntime, log: Log): Promise<void> {
  try {
    log.info('container runtime', { ...(await runtime.version()) });
  } catch (error: unknown) {
    log.warn('the container runtime does not answer yet', { error: String(error) });
  }
}

function warnOfUnused(config: RunConfig, log: Log): void {
  if (config.runcRoot !== '') log.warn('--runc-root is not used any more', { value: config.runcRoot });
  if (!config.enableInboundIpv6) log.warn('--enable-inbound-ipv6=false is not used any more; see --ipv6', {});
}
