import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from '@prometheus-io/client';

const PREFIX = 'istio_pod_network_controller_';

/** Seconds. The transaction takes about a millisecond, a wait for a sandbox seconds. */
const BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Every metric of agent and webhook; `docs/metrics.md` is tested against this table. No pod names in labels. */
export const METRICS = {
  apiRequests: {
    type: 'counter',
    name: 'api_requests_total',
    help: 'Requests to the API server.',
    labels: ['verb', 'resource', 'code'],
  },
  captures: {
    type: 'counter',
    name: 'captures_total',
    help: 'Captured netns by what had to be done.',
    labels: ['action'],
  },
  captureSeconds: {
    type: 'histogram',
    name: 'capture_duration_seconds',
    help: 'Time inside one netns, proof and mark included.',
    labels: [],
  },
  decisions: {
    type: 'counter',
    name: 'decisions_total',
    help: 'Decisions about pods, one per change of decision.',
    labels: ['action', 'reason'],
  },
  errors: {
    type: 'counter',
    name: 'reconcile_errors_total',
    help: 'Reconciliations that failed and will be tried again, by error code.',
    labels: ['code'],
  },
  eventLoopDelay: {
    type: 'gauge',
    name: 'event_loop_delay_seconds',
    help: 'How late timers of the agent were in the last 5 seconds. While it is busy it answers no hook of the runtime.',
    labels: ['quantile'],
  },
  netnsEntries: {
    type: 'counter',
    name: 'netns_entries_total',
    help: 'Network namespaces entered, by purpose. Pods that are not ours are never entered.',
    labels: ['purpose'],
  },
  nriConnected: {
    type: 'gauge',
    name: 'nri_connected',
    help: '1 while the runtime calls the agent in its hooks (NRI); 0: sandboxes are found by CRI alone.',
    labels: [],
  },
  nriConnections: {
    type: 'counter',
    name: 'nri_connections_total',
    help: 'Connections to the NRI socket: connected, lost later, or rejected before they were of use.',
    labels: ['result'],
  },
  nriHooks: {
    type: 'counter',
    name: 'nri_hooks_total',
    help: 'Hooks answered, of all pods: done, refused (the container was not created), failed, or late (answered at the deadline).',
    labels: ['hook', 'outcome'],
  },
  nriPods: {
    type: 'counter',
    name: 'nri_pods_total',
    help: 'What hooks about pods that may be ours ended with: captured, settled (before), refused, postponed, failed, unseen or ignored.',
    labels: ['hook', 'result'],
  },
  nriSandboxSeconds: {
    type: 'histogram',
    name: 'nri_run_pod_sandbox_duration_seconds',
    help: 'From the RunPodSandbox hook of any pod to its answer.',
    labels: [],
  },
  nriContainerSeconds: {
    type: 'histogram',
    name: 'nri_create_container_duration_seconds',
    help: 'From the CreateContainer hook of any pod to its answer.',
    labels: [],
  },
  pods: { type: 'gauge', name: 'pods', help: 'Pods on this node by state.', labels: ['state'] },
  queueDepth: { type: 'gauge', name: 'queue_depth', help: 'Pods that wait to be reconciled.', labels: [] },
  queueDropped: {
    type: 'counter',
    name: 'queue_dropped_total',
    help: 'Keys the full queue refused; the next resync brings them back.',
    labels: [],
  },
  reconcileSeconds: {
    type: 'histogram',
    name: 'reconcile_duration_seconds',
    help: 'Time of one reconciliation of one pod.',
    labels: [],
  },
  seenToMarkedSeconds: {
    type: 'histogram',
    name: 'seen_to_marked_seconds',
    help: 'From the first sight of a pod to its mark.',
    labels: [],
  },
  watchFailing: {
    type: 'gauge',
    name: 'watch_failing_seconds',
    help: 'How long a watch has been failing; 0 while it works. New pods are not seen meanwhile.',
    labels: ['resource'],
  },
  watchEvents: {
    type: 'counter',
    name: 'watch_events_total',
    help: 'Changes received by watches.',
    labels: ['resource', 'type'],
  },
  webhookReviews: {
    type: 'counter',
    name: 'webhook_reviews_total',
    help: 'Answers of the admission webhook: gated, unchanged, refused, or malformed and busy for requests it did not judge.',
    labels: ['result'],
  },
  webhookSeconds: {
    type: 'histogram',
    name: 'webhook_review_duration_seconds',
    help: 'Time of one review in the admission webhook, its body included.',
    labels: [],
  },
  webhookCertificateEnd: {
    type: 'gauge',
    name: 'webhook_certificate_expiry_timestamp_seconds',
    help: 'When the certificate that the admission webhook serves expires, in Unix time.',
    labels: ['dns_name'],
  },
  webhookConfigurationWrites: {
    type: 'counter',
    name: 'webhook_configuration_writes_total',
    help: 'Writes of the MutatingWebhookConfiguration: changed by us (update) or by others (repair), or failed.',
    labels: ['result'],
  },
  webhookCertificateWrites: {
    type: 'counter',
    name: 'webhook_certificate_writes_total',
    help: "Certificates written into the webhook's Secret: written, lost (another replica was first) or failed.",
    labels: ['result'],
  },
} as const satisfies Record<string, MetricSpec>;

interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

export type MetricName = keyof typeof METRICS;

/** What the rest of the agent may do with metrics. */
export interface Metrics {
  count(name: MetricName, labels?: Readonly<Record<string, string>>, by?: number): void;
  observe(name: MetricName, seconds: number): void;
  set(name: MetricName, value: number, labels?: Readonly<Record<string, string>>): void;
  /** The Prometheus text format and its content type. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** A registry of its own, so that two agents in one test process do not share counters. */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counters = new Map<string, Counter<string>>();
  const gauges = new Map<string, Gauge<string>>();
  const histograms = new Map<string, Histogram<string>>();
  for (const [key, spec] of Object.entries(METRICS)) {
    const options = { name: PREFIX + spec.name, help: spec.help, labelNames: [...spec.labels], registers: [registry] };
    if (spec.type === 'counter') counters.set(key, new Counter(options));
    else if (spec.type === 'gauge') gauges.set(key, new Gauge(options));
    else histograms.set(key, new Histogram({ ...options, buckets: BUCKETS_SECONDS }));
  }
  new Gauge({ name: `${PREFIX}build_info`, help: 'Always 1.', labelNames: ['version'], registers: [registry] }).set(
    { version },
    1,
  );
  return {
    count: (name, labels = {}, by = 1) => counters.get(name)?.inc(labels, by),
    observe: (name, seconds) => histograms.get(name)?.observe(seconds),
    set: (name, value, labels = {}) => gauges.get(name)?.set(labels, value),
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
