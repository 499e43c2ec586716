import { captureEffect } from '../agent/capture-netns.ts';
import { resolveFlags } from '../config/flag.ts';
import { RUN_FLAGS, type RunConfig } from '../config/flags.ts';
import { createCriRuntime } from '../sandbox/cri/client.ts';
import { findCriSocket } from '../sandbox/cri/find-socket.ts';
import { withDockerNetns } from '../sandbox/docker/docker-runtime.ts';
import { createDockerEngine } from '../sandbox/docker/engine.ts';
import type { SandboxRuntime } from '../sandbox/sandbox.ts';
import { createHealth } from '../telemetry/health.ts';
import { createLog, type Log } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { serveTelemetry } from '../telemetry/server.ts';
import { nowMs } from './clock.ts';
import type { Given } from './given.ts';
import { runParts } from './run-parts.ts';
import { stopSignal } from './stop-signal.ts';
import { productVersion } from './version.ts';

/** `run`: the node agent, until SIGTERM. */
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
  const runtime = withDockerNetns(
    createCriRuntime({ socketPath }),
    createDockerEngine({ socketPath: config.dockerSocket }),
  );
  try {
    const capture = await captureEffect({ backend: config.backend });
    log.info('rules are written by', { backend: capture.preferredBackend() });
    health.done('nftWorks');
    void announceRuntime(runtime, log);
    await runParts({ config, log, metrics, health, runtime, capture }, stop);
    log.info('stopped; captured pods stay captured');
    return 0;
  } finally {
    runtime.close();
    server.close();
    server.closeAllConnections();
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
