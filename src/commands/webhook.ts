import { createClusterApi } from '../admission/webhook/cluster-api.ts';
import { fileCertificate } from '../admission/webhook/file-certificate.ts';
import { ownCertificate } from '../admission/webhook/own-certificate.ts';
import { ownerFromToken } from '../admission/webhook/secret.ts';
import type { CertificateSource } from '../admission/webhook/types.ts';
import { startWebhook, type WebhookOptions } from '../admission/webhook/webhook.ts';
import { resolveFlags, type Values } from '../config/flag.ts';
import { WEBHOOK_FLAGS } from '../config/webhook-flags.ts';
import { apiServerUrl, serviceAccountCredentials, serviceAccountNamespace } from '../kube/credentials.ts';
import { createTransport } from '../kube/request.ts';
import { createLog } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { serveTelemetry } from '../telemetry/server.ts';
import { nowMs, sleep, wallClock } from './clock.ts';
import { gateSettings } from './gate-settings.ts';
import { type Given, notAllowed } from './given.ts';
import { stopSignal } from './stop-signal.ts';
import { productVersion } from './version.ts';

type WebhookConfig = Values<typeof WEBHOOK_FLAGS>;
type Parts = Pick<WebhookOptions, 'api' | 'clock' | 'log' | 'metrics'>;

/** `webhook`: the admission webhook, until SIGTERM. The one place where its real effects are made and put together. */
export async function webhookVerb(given: Given): Promise<number> {
  const config = resolveFlags(WEBHOOK_FLAGS, given, process.env);
  if (config.certificate === 'files' && config.certDir === '') {
    throw notAllowed('--cert-dir', config.certDir, 'with --certificate=files it names the directory');
  }
  const log = createLog(config.logLevel);
  const metrics = createMetrics(productVersion());
  const stop = stopSignal(log);
  log.info('starting', { version: productVersion(), service: config.serviceName });
  const clock = { nowMs, wallClock, sleep, random: Math.random };
  const transport = createTransport({
    baseUrl: apiServerUrl(process.env),
    credentials: serviceAccountCredentials(config.serviceAccountDir, nowMs),
    observe: (request) => metrics.count('apiRequests', { ...request }),
  });
  // Reviews that come in while the process is leaving may still need the API server.
  const closing = new AbortController();
  const api = createClusterApi({ transport, clock, signal: closing.signal });
  let missing = (): readonly string[] => ['start'];
  const telemetry = await serveTelemetry({
    port: config.metricsPort,
    metrics,
    health: { live: () => true, missing: () => missing() },
  });
  try {
    const webhook = await startWebhook(webhookOptions(config, { api, clock, log, metrics }), stop);
    missing = () => webhook.missing();
    await webhook.ended;
    log.info('stopped');
    return 0;
  } finally {
    closing.abort(new Error('the webhook ends'));
    transport.close();
    telemetry.close();
    telemetry.closeAllConnections();
  }
}

function webhookOptions(config: WebhookConfig, parts: Parts): WebhookOptions {
  const namespace = serviceAccountNamespace(config.serviceAccountDir);
  const dnsName = `${config.serviceName}.${namespace}.svc`;
  return {
    ...parts,
    source: certificateSource(config, { ...parts, namespace, dnsName }),
    gate: gateSettings(config),
    entries: {
      service: { namespace, name: config.serviceName },
      failurePolicy: config.failurePolicy,
      // Gated pods here would wait for themselves.
      excludedNamespaces: [...new Set([...config.excludeNamespaces, namespace])],
      enroll: config.enroll,
    },
    configurationName: config.configurationName,
    dnsName,
    port: config.port,
    drainMs: config.drainSeconds * 1_000,
  };
}

function certificateSource(
  config: WebhookConfig,
  { api, clock, log, metrics, namespace, dnsName }: Parts & { readonly namespace: string; readonly dnsName: string },
): CertificateSource {
  if (config.certificate === 'files') return fileCertificate({ directory: config.certDir, dnsName, clock, log });
  const token = serviceAccountCredentials(config.serviceAccountDir, nowMs).current().token;
  return ownCertificate({
    ...{ api, namespace, dnsName, clock, log, metrics },
    secretName: config.secretName,
    lifetimeMs: config.certificateLifetimeSeconds * 1_000,
    owner: ownerFromToken(token),
  });
}
