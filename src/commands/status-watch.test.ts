import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { schemaProblems } from '../../test/support/json-schema.ts';
import statusSchema from '../../docs/schema/status.json' with { type: 'json' };
import { type Exchange, type FakeApiServer, fakeApiServer } from '../kube/fake-api-server.ts';
import { type Cluster, openCluster } from '../kubeconfig/cluster.ts';
import { openLogin } from '../kubeconfig/login.ts';
import { parseStatusPod } from '../status/status-pod.ts';
import { rowAsJson } from '../status/status-table.ts';
import { follow } from './follow.ts';
import { scopeOf } from './status-read.ts';
import { createStatusStore } from './status-store.ts';

const INITIALIZE = 'istio-pod-network-controller/initialize';
const STATUS = 'pod-network-controller.istio.io/status';
let server: FakeApiServer;
let directory: string;
let cluster: Cluster;
let stop: AbortController;

beforeEach(async () => {
  server = await fakeApiServer();
  directory = mkdtempSync(join(tmpdir(), 'istio-pnc-follow-'));
  stop = new AbortController();
  const kubeconfig = join(directory, 'config');
  const document = {
    'current-context': 'c',
    clusters: [{ name: 'k', cluster: { server: server.url.origin } }],
    contexts: [{ name: 'c', context: { cluster: 'k' } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(document));
  const login = await openLogin({ kubeconfig, context: undefined, as: undefined, env: {}, say: () => undefined });
  cluster = openCluster(login, { requestTimeoutMs: 5_000, signal: stop.signal });
});
afterEach(async () => {
  stop.abort();
  cluster.close();
  await server.close();
  rmSync(directory, { recursive: true });
});

function pod(name: string, resourceVersion: string, annotations: Record<string, string> = {}): object {
  return {
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-${name}`,
      resourceVersion,
      annotations: { [INITIALIZE]: 'true', ...annotations },
    },
    spec: {
      nodeName: 'n',
      initContainers: [{ name: 'istio-pod-network-controller-gate' }],
      containers: [{ name: 'istio-proxy' }],
    },
    status: { phase: 'Pending' },
  };
}

function list(exchange: Exchange, resourceVersion: string, ...items: readonly object[]): void {
  exchange.reply(200, { metadata: { resourceVersion }, items });
}

describe('a collection that is followed', () => {
  function followed() {
    const seen: string[] = [];
    const waiting: (() => void)[] = [];
    const result = follow({
      cluster,
      signal: stop.signal,
      asked: { path: '/api/v1/namespaces/shop/pods', resource: 'pods', query: { labelSelector: 'a=b' } },
      project: parseStatusPod,
      onChange: (key, change) => {
        seen.push(`${change.type} ${key}`);
        for (const go of waiting.splice(0)) go();
      },
    });
    const until = async (text: string) => {
      while (!seen.includes(text)) await new Promise<void>((go) => void waiting.push(go));
    };
    return { ...result, seen, until };
  }

  it('is listed in pages, watched from there, resumed after a cut, and listed anew after a 410', async () => {
    const pods = followed();
    const first = await server.next();
    expect(Object.fromEntries(first.query)).toEqual({ labelSelector: 'a=b', limit: '500' });
    list(first, '7', pod('a', '5'));
    expect(await pods.synced).toBe(true);
    const watch = await server.next();
    expect([watch.query.get('resourceVersion'), watch.query.get('labelSelector')]).toEqual(['7', 'a=b']);
    const stream = watch.watch();
    stream.send('ADDED', pod('b', '8'));
    await pods.until('set shop/b');
    stream.reset();
    const resumed = await server.next();
    expect(resumed.query.get('resourceVersion')).toBe('8');
    resumed.reply(410, { message: 'too old' });
    const again = await server.next();
    expect(again.query.get('watch')).toBeNull();
    list(again, '20', pod('b', '9'));
    await pods.until('delete shop/a');
    expect(pods.seen).toEqual(['set shop/a', 'set shop/b', 'set shop/b', 'delete shop/a']);
  });

  it('that may not be read says so, and asks no more', async () => {
    const pods = followed();
    (await server.next()).reply(403, { message: 'forbidden' });
    expect(await pods.synced).toBe(false);
    await pods.ended;
  });

  it('that cannot be reached fails at once', async () => {
    const pods = followed();
    (await server.next()).reply(500, { message: 'broken' });
    await expect(pods.synced).rejects.toThrow(/500: broken \(server http/);
    await pods.ended;
  });
});

describe('the rows of a watch', () => {
  const given = { namespace: 'shop' };
  const scope = scopeOf(given, new Set(), undefined);

  it('are told once each time they change, and when they end', () => {
    const store = createStatusStore({ given, scope });
    const told = (...keys: readonly string[]) =>
      store
        .changes(keys.length === 0 ? undefined : keys)
        .map(({ name, state, reason }) => `${name} ${state} ${reason}`);
    store.setNamespace('shop', { name: 'shop', labels: {}, annotations: {} });
    store.setPod('shop/b', parseStatusPod(pod('b', '1')));
    store.setPod('shop/a', parseStatusPod(pod('a', '1', { [STATUS]: 'initialized' })));
    store.setPod('shop/c', parseStatusPod(pod('c', '1', { [INITIALIZE]: 'false' })));
    expect(told()).toEqual(['a initialized Enrolled', 'b starting NotStarted']);
    expect(told()).toEqual([]);
    store.setPod('shop/b', parseStatusPod(pod('b', '2', { other: 'annotation' })));
    expect(told('shop/b')).toEqual([]);
    store.setPod('shop/b', parseStatusPod(pod('b', '3', { [STATUS]: 'failed' })));
    expect(told('shop/b')).toEqual(['b failed CaptureFailed']);
    store.setPod('shop/b', undefined);
    expect(told('shop/b')).toEqual(['b deleted CaptureFailed']);
    store.setPod('shop/a', parseStatusPod(pod('a', '2', { [INITIALIZE]: 'false' })));
    expect(told()).toEqual(['a deleted Enrolled']);
    expect(told()).toEqual([]);
  });

  it('are no news where only what is not shown has changed', () => {
    const initializing = Object(pod('b', '2'));
    const gate = { name: 'istio-pod-network-controller-gate', state: { waiting: { reason: 'PodInitializing' } } };
    initializing.status.initContainerStatuses = [gate];
    for (const [output, told] of [
      ['text', 0],
      ['wide', 1],
      ['json', 1],
    ] as const) {
      const store = createStatusStore({ given: { ...given, output }, scope });
      store.setNamespace('shop', { name: 'shop', labels: {}, annotations: {} });
      store.setPod('shop/b', parseStatusPod(pod('b', '1')));
      expect(store.changes()).toHaveLength(1);
      store.setPod('shop/b', parseStatusPod(initializing));
      expect(store.changes()).toHaveLength(told);
    }
  });

  it('are judged by the flags of the agent', () => {
    const store = createStatusStore({ given, scope });
    const injected = pod('a', '1', { [INITIALIZE]: '', 'sidecar.istio.io/status': '{}' });
    Reflect.deleteProperty(Object(injected).metadata.annotations, INITIALIZE);
    store.setNamespace('shop', { name: 'shop', labels: {}, annotations: {} });
    store.setPod('shop/a', parseStatusPod(injected));
    expect(store.changes()).toEqual([]);
    store.setAgent('x/agent', { node: 'n', ready: true, trouble: '', args: ['run', '--enroll=injected'], env: {} });
    expect(store.changes()).toMatchObject([{ name: 'a', state: 'starting' }]);
  });

  it('are, as JSON, what docs/schema/ says', () => {
    const store = createStatusStore({ given, scope });
    const report = {
      [STATUS]: 'initialized',
      'pod-network-controller.istio.io/capture': JSON.stringify({
        policy: 'p',
        sandbox: 's',
        backend: 'nft',
        at: '2026-01-01T00:00:00Z',
        ms: 1.5,
      }),
    };
    store.setPod('shop/a', parseStatusPod(pod('a', '1', report)));
    store.setPod('shop/b', parseStatusPod(pod('b', '1')));
    expect(schemaProblems(statusSchema, store.changes().map(rowAsJson))).toEqual([]);
    expect(schemaProblems(statusSchema, [{}]).length).toBeGreaterThan(0);
  });
});
