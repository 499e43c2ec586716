import { Agent, request as httpsRequest } from 'node:https';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { asList, asObject, asString, type JsonObject } from '../json.ts';
import { certificatesIn } from './certificate.ts';
import { NAMESPACES_ENTRY, PODS_ENTRY } from './configuration.ts';
import {
  CONFIGURATIONS,
  type FakeCluster,
  fakeCluster,
  NAMESPACE,
  NAMESPACES,
  realClock,
  SECRETS,
} from './fake-cluster.ts';
import { GATE_SETTINGS, injectedPod, reviewOf } from './fake-review.ts';
import { ownCertificate } from './own-certificate.ts';
import { recordingLog, silentMetrics } from './recording.ts';
import { startWebhook, type Webhook } from './webhook.ts';

const NAME = 'istio-pod-network-controller-webhook';
const DNS_NAME = `${NAME}.${NAMESPACE}.svc`;
const CONFIGURATION = 'zz-istio-pod-network-controller';
const YES = { metadata: { annotations: { 'istio-pod-network-controller/initialize': 'true' } } };
const DAY_MS = 86_400_000;

let cluster: FakeCluster;
let replicas: Replica[];

beforeEach(async () => {
  cluster = await fakeCluster();
  replicas = [];
  cluster.put(NAMESPACES, 'shop', YES);
  cluster.put(NAMESPACES, 'plain', { metadata: {} });
  cluster.put(CONFIGURATIONS, CONFIGURATION, { metadata: {} });
});
afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.end()));
  await cluster.close();
});

describe('a webhook', () => {
  it('is ready once its CA is in the configuration, and then serves what the configuration trusts', async () => {
    const replica = await start();
    expect(replica.webhook.missing()).toContain('configuration');
    await ready(replica);
    const [byNamespace, pods] = entriesNow();
    expect([byNamespace?.name, pods?.name]).toEqual([NAMESPACES_ENTRY, PODS_ENTRY]);
    expect(byNamespace?.namespaceSelector).toEqual(selector('In', ['shop']));
    expect(pods?.namespaceSelector).toEqual(selector('NotIn', ['kube-system', NAMESPACE]));
    expect(await reviewed(replica)).toMatchObject({ allowed: true, patchType: 'JSONPatch' });
  });

  it('follows the Namespaces, and never matches its own or an excluded one', async () => {
    cluster.put(NAMESPACES, NAMESPACE, YES);
    cluster.put(NAMESPACES, 'kube-system', YES);
    await ready(await start());
    expect(matched()).toEqual(['shop']);
    cluster.put(NAMESPACES, 'bank', YES);
    await cluster.until(() => matched().join() === 'bank,shop');
    cluster.put(NAMESPACES, 'shop', { metadata: { annotations: {} } });
    cluster.remove(NAMESPACES, 'bank');
    await cluster.until(() => entriesNow().length === 1);
    expect(entriesNow()[0]?.name).toBe(PODS_ENTRY);
  });

  it('repairs at once what somebody changes, and leaves alone what is not its own', async () => {
    await ready(await start());
    const good = entriesNow();
    const foreign = { name: 'other.example.com' };
    const broken = good.map((entry) => ({
      ...entry,
      failurePolicy: 'Ignore',
      clientConfig: { url: 'https://192.0.2.1' },
    }));
    cluster.put(CONFIGURATIONS, CONFIGURATION, { ...configuration(), webhooks: [...broken, foreign] });
    await cluster.until(() => entriesNow()[0]?.failurePolicy === 'Fail');
    expect(entriesNow()).toEqual([...good, foreign]);
    cluster.put(CONFIGURATIONS, CONFIGURATION, { ...configuration(), webhooks: [] });
    await cluster.until(() => entriesNow().length > 0);
    expect(entriesNow()).toEqual(good);
  });

  it('writes over what an apply alone cannot take out', async () => {
    await ready(await start());
    const good = entriesNow();
    const never = { name: 'added-by-others', expression: 'false' };
    const weakened = good.map((entry) => ({ ...entry, matchConditions: [...asList(entry.matchConditions), never] }));
    const foreign = { name: 'other.example.com' };
    cluster.put(CONFIGURATIONS, CONFIGURATION, { ...configuration(), webhooks: [foreign, ...weakened] });
    await cluster.until(() => !JSON.stringify(entriesNow()).includes(never.name));
    expect(entriesNow()).toEqual([...good, foreign]);
  });

  it('does not create a configuration, says that it is missing, and fills it when it comes', async () => {
    cluster.remove(CONFIGURATIONS, CONFIGURATION);
    const replica = await start();
    await replica.log.until('the MutatingWebhookConfiguration is missing');
    expect(replica.webhook.missing()).toEqual(['configuration']);
    expect(configuration()).toEqual({});
    cluster.put(CONFIGURATIONS, CONFIGURATION, { metadata: {} });
    await ready(replica);
  });

  it('stays ready while the API server is away, and goes on serving', async () => {
    const replica = await start();
    await ready(replica);
    cluster.fail = () => 503;
    expect(await reviewed(replica)).toMatchObject({ allowed: true, patchType: 'JSONPatch' });
    expect(await reviewed(replica, 'unknown')).toMatchObject({ allowed: false, status: { code: 503 } });
    expect(replica.webhook.missing()).toEqual([]);
  });

  it('ends in order: not ready, still serving, then closed', async () => {
    const replica = await start({ drainMs: 500 });
    await ready(replica);
    replica.stop.abort();
    expect(replica.webhook.missing()).toEqual(['stopping']);
    await replica.log.until('serving on until the endpoints have changed');
    expect(await reviewed(replica)).toMatchObject({ allowed: true });
    await replica.webhook.ended;
    await expect(reviewed(replica)).rejects.toThrow('ECONNREFUSED');
  });
});

describe('two webhooks', () => {
  it('agree: once all is said, nobody writes any more', async () => {
    await Promise.all([start(), start()].map(async (replica) => ready(await replica)));
    await quiet();
    cluster.put(NAMESPACES, 'bank', YES);
    await cluster.until(() => matched().join() === 'bank,shop');
    await quiet();
    expect(matched()).toEqual(['bank', 'shop']);
  });

  it('of which one hears nothing of Namespaces any more: what it does not know stays matched', async () => {
    await ready(await start());
    const deaf = await start({ deafTo: 'bank' });
    await ready(deaf);
    cluster.put(NAMESPACES, 'bank', YES);
    await cluster.until(() => matched().join() === 'bank,shop');
    await quiet();
    expect(matched()).toEqual(['bank', 'shop']);
    // And it is let go when it really is opted out.
    cluster.put(NAMESPACES, 'bank', { metadata: {} });
    await cluster.until(() => matched().join() === 'shop');
  });

  it('never fail a review while the certificate, CA included, is renewed under load', async () => {
    // Begins in the past, so that the renewed certificate is valid for this test's own client.
    let nowMs = Date.now() - 61 * DAY_MS;
    const clock = () => new Date(nowMs);
    const both = [await start({ clock }), await start({ clock })];
    await Promise.all(both.map(ready));
    const before = authoritiesNow();
    const enough = new AbortController();
    const outcomes: boolean[] = [];
    // As an API server does: whatever the configuration says now is what is trusted, on a new connection each time.
    const load = both.map(async (replica) => {
      while (!enough.signal.aborted) outcomes.push((await reviewed(replica)).allowed === true);
    });
    nowMs = Date.now();
    // The looks of both are a minute apart; a touched Secret makes them look now.
    touchSecret();
    await cluster.until(() => authoritiesNow().length === 2);
    await Promise.all(
      both.map((replica) =>
        replica.log.until(`certificate served {"expires":"${new Date(nowMs + 90 * DAY_MS).toISOString().slice(0, 10)}`),
      ),
    );
    await reviewed(both[0]);
    enough.abort();
    await Promise.all(load);
    expect(outcomes.length).toBeGreaterThan(10);
    expect(outcomes).not.toContain(false);
    expect(authoritiesNow()).toEqual(expect.arrayContaining([...before]));
    expect(cluster.writes.filter((line) => line === `PATCH ${SECRETS}/${NAME} 200`)).toHaveLength(1);
  });
});

interface Replica {
  readonly webhook: Webhook;
  readonly stop: AbortController;
  readonly log: ReturnType<typeof recordingLog>;
  end(): Promise<void>;
}

interface Peculiar {
  readonly clock?: () => Date;
  readonly drainMs?: number;
  /** A Namespace its watch never tells of. */
  readonly deafTo?: string;
}

async function start({ clock, drainMs = 0, deafTo }: Peculiar = {}): Promise<Replica> {
  const stop = new AbortController();
  const log = recordingLog();
  const client = cluster.client();
  const api: typeof client.api = {
    ...client.api,
    listWatch: (options, signal) => {
      const { handlers } = options;
      const onChange: typeof handlers.onChange = (key, change) => {
        if (options.resource !== 'namespaces' || key !== deafTo) handlers.onChange(key, change);
      };
      return client.api.listWatch({ ...options, handlers: { ...handlers, onChange } }, signal);
    },
  };
  const parts = { api, clock: realClock(clock), log, metrics: silentMetrics };
  const webhook = await startWebhook(
    {
      ...parts,
      source: ownCertificate({
        ...parts,
        namespace: NAMESPACE,
        secretName: NAME,
        dnsName: DNS_NAME,
        lifetimeMs: 90 * DAY_MS,
        owner: undefined,
      }),
      gate: GATE_SETTINGS,
      entries: {
        service: { namespace: NAMESPACE, name: NAME },
        failurePolicy: 'Fail',
        excludedNamespaces: ['kube-system', NAMESPACE],
        enroll: 'annotated',
      },
      configurationName: CONFIGURATION,
      dnsName: DNS_NAME,
      port: 0,
      host: '127.0.0.1',
      drainMs,
      settleMs: 50,
    },
    stop.signal,
  );
  const end = async () => {
    stop.abort();
    await webhook.ended;
    client.end();
  };
  const replica = { webhook, stop, log, end };
  replicas.push(replica);
  return replica;
}

async function ready({ webhook }: Replica): Promise<void> {
  await vi.waitUntil(() => webhook.missing().length === 0, { timeout: 10_000, interval: 5 });
}

/** No write for as long as several rounds of a keeper take. */
async function quiet(): Promise<void> {
  for (let before = -1; before !== cluster.writes.length; ) {
    before = cluster.writes.length;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function configuration(): JsonObject {
  return cluster.object(CONFIGURATIONS, CONFIGURATION) ?? {};
}

function entriesNow(): readonly JsonObject[] {
  return asList(configuration().webhooks).map(asObject);
}

function matched(): readonly unknown[] {
  const entry = entriesNow().find(({ name }) => name === NAMESPACES_ENTRY);
  return asList(asObject(asList(asObject(entry?.namespaceSelector).matchExpressions)[0]).values);
}

function authoritiesNow(): readonly string[] {
  const pods = entriesNow().find(({ name }) => name === PODS_ENTRY);
  return certificatesIn(Buffer.from(asString(asObject(pods?.clientConfig).caBundle), 'base64').toString());
}

function selector(operator: string, values: readonly string[]): object {
  return { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator, values }] };
}

function touchSecret(): void {
  cluster.put(SECRETS, NAME, { ...cluster.object(SECRETS, NAME), touched: true });
}

/** A review over a new connection, trusting what the configuration says at this moment. */
function reviewed(replica: Replica | undefined, namespace = 'shop'): Promise<JsonObject> {
  const body = JSON.stringify(reviewOf(injectedPod(), { namespace }));
  const agent = new Agent({ ca: [...authoritiesNow()], servername: DNS_NAME });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const options = { host: '127.0.0.1', port: replica?.webhook.port, path: '/gate', method: 'POST', headers, agent };
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => {
        agent.destroy();
        resolve(asObject(asObject(JSON.parse(text)).response));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
