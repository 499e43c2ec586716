import type { Clock } from '../../kube/types.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { GateSettings } from '../gate-pod.ts';
import type { ClusterApi } from './cluster-api.ts';
import type { EntrySettings } from './configuration.ts';
import { createConfigurationKeeper } from './configuration-keeper.ts';
import { createNamespaces } from './namespaces.ts';
import { createPublisher } from './publisher.ts';
import { createReviewer } from './reviewer.ts';
import { serveWebhook, type WebhookServer } from './server.ts';
import type { CertificateSource } from './types.ts';

export interface WebhookOptions {
  readonly api: ClusterApi;
  readonly source: CertificateSource;
  readonly gate: GateSettings;
  readonly entries: EntrySettings;
  readonly configurationName: string;
  /** `SERVICE.NAMESPACE.svc`, for metrics. */
  readonly dnsName: string;
  readonly port: number;
  readonly host?: string;
  /** How long to go on serving after the end was asked for: until every kube-proxy has heard that this endpoint is gone. */
  readonly drainMs: number;
  /** How long the API servers have to learn of a new CA, from the moment it is in the configuration. */
  readonly settleMs?: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'count' | 'observe' | 'set'>;
}

export interface Webhook {
  readonly port: number;
  /** What is missing before the API server may send reviews here; empty means ready. */
  missing(): readonly string[];
  /** Resolves when all is closed, after `stop` was aborted. */
  readonly ended: Promise<void>;
}

/**
 * An API server has its own watch of configurations, and hears of a new one in milliseconds; one that lags gets this long. Nothing is
 * lost by waiting: the old certificate is served meanwhile.
 */
const SETTLE_MS = 2_000;

/** The admission webhook, until `stop` aborts and what was under way is done. Throws `Usage` if it cannot listen. */
export async function startWebhook(options: WebhookOptions, stop: AbortSignal): Promise<Webhook> {
  const { api, clock, log, metrics } = options;
  const namespaces = createNamespaces({ api, log, metrics });
  const review = createReviewer({ settings: options.gate, namespaces, log, metrics });
  const { port, host } = options;
  const server = await serveWebhook({
    port,
    ...(host === undefined ? {} : { host }),
    review,
    log,
    metrics,
    nowMs: clock.nowMs,
  });
  const keeper = createConfigurationKeeper({
    ...{ api, namespaces, clock, log, metrics },
    configurationName: options.configurationName,
    entrySettings: options.entries,
    onLook: () => publisher.look(),
  });
  const publisher = createPublisher({
    ...{ server, keeper, clock, log },
    settleMs: options.settleMs ?? SETTLE_MS,
    onServed: ({ notAfterMs }) =>
      metrics.set('webhookCertificateEnd', notAfterMs / 1_000, { dns_name: options.dnsName }),
  });
  const running = Promise.all([
    namespaces.run(() => keeper.wake(), stop),
    keeper.run(stop),
    options.source.run((certificate) => publisher.offer(certificate), stop),
    publisher.run(stop),
  ]);
  const missing = () => {
    if (stop.aborted) return ['stopping'];
    const parts = { namespaces: namespaces.synced(), ...publisher.ready() };
    return Object.entries(parts).flatMap(([part, there]) => (there ? [] : [part]));
  };
  return { port: server.port, missing, ended: ended(server, running, options, stop) };
}

async function ended(
  server: WebhookServer,
  running: Promise<unknown>,
  { clock, drainMs, log }: WebhookOptions,
  stop: AbortSignal,
): Promise<void> {
  try {
    await running;
    // Told to go: probes fail from now on, and until the endpoints have changed everywhere reviews still come.
    log.info('serving on until the endpoints have changed', { drainMs });
    server.turnAway();
    if (stop.aborted) await clock.sleep(drainMs, new AbortController().signal);
  } finally {
    await server.close();
  }
}
