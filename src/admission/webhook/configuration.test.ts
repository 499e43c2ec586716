import { parse } from '@marcbachmann/cel-js';
import { describe, expect, it } from 'vitest';
import { GATE_CASES, GATE_NAMESPACES } from '../../../test/support/gate-cases.ts';
import { gatePod } from '../gate-pod.ts';
import { asList, asObject, asString, type JsonObject } from '../json.ts';
import { entries, type EntrySettings, NAMESPACES_ENTRY, PODS_ENTRY, standing } from './configuration.ts';
import { GATE_SETTINGS, injectedPod } from './fake-review.ts';

const INITIALIZE = 'istio-pod-network-controller/initialize';
const SETTINGS: EntrySettings = {
  service: { namespace: 'own', name: 'webhook' },
  failurePolicy: 'Fail',
  excludedNamespaces: ['kube-system', 'own'],
  enroll: 'annotated',
};

describe('what the API server is told to send', () => {
  it.each(['annotated', 'injected'] as const)('is every pod that gets a gate, %s', (enroll) => {
    for (const { title, namespace, pod } of GATE_CASES) {
      const annotations = GATE_NAMESPACES[namespace];
      if (!gatePod(pod, annotations, { ...GATE_SETTINGS, enroll }).gated) continue;
      const optedIn = annotations[INITIALIZE] === 'true' ? [namespace] : [];
      expect(sentBy(pod, namespace, optedIn, enroll), title).toHaveLength(1);
    }
  });

  it.each([
    ['says no', injectedPod({ [INITIALIZE]: 'false' })],
    ['is on the host network', { ...injectedPod(), spec: { hostNetwork: true } }],
    ['is told to have no sidecar', { ...injectedPod(), metadata: { labels: { 'sidecar.istio.io/inject': 'false' } } }],
  ])('is no pod that %s, so that an outage cannot reach it', (_, pod) => {
    expect(sentBy(pod, 'shop', ['shop'], 'injected')).toEqual([]);
  });

  it('is no pod of a Namespace that did not ask, unless the pod does', () => {
    expect(sentBy({ metadata: {}, spec: {} }, 'plain', ['shop'], 'annotated')).toEqual([]);
    expect(sentBy(injectedPod({}), 'plain', ['shop'], 'annotated')).toEqual([]);
    expect(sentBy(injectedPod(), 'plain', ['shop'], 'annotated')).toEqual([PODS_ENTRY]);
  });

  it('is no pod of an excluded Namespace, whatever it says', () => {
    expect(sentBy(injectedPod(), 'kube-system', ['kube-system'], 'injected')).toEqual([]);
    expect(sentBy(injectedPod({}), 'own', ['own', 'shop'], 'annotated')).toEqual([]);
  });

  it('has no entry for Namespaces while none asks, and takes ten thousand of them', () => {
    expect(entries({ namespaces: [], authorities: [] }, SETTINGS)).toHaveLength(1);
    const many = Array.from({ length: 10_000 }, (_, index) => `${'n'.repeat(57)}-${index}`);
    const text = JSON.stringify(entries({ namespaces: many, authorities: [] }, SETTINGS));
    // etcd takes 1.5 MiB.
    expect(text.length).toBeLessThan(1_000_000);
  });
});

describe('how a configuration stands', () => {
  const wanted = entries({ namespaces: ['shop'], authorities: undefined }, SETTINGS);

  it('is equal whatever a newer API adds, and whatever others have in it', () => {
    const live = wanted.map((entry) => ({ ...entry, fieldOfANewerApi: 'its default' }));
    const foreign = { name: 'other.example.com' };
    const seen = standing({ webhooks: [foreign, ...live.toReversed()] }, wanted);
    expect(seen).toMatchObject({ equal: true, registered: true, namespaces: ['shop'], others: [foreign] });
  });

  it('is equal whatever the CA bundle says where somebody else keeps it', () => {
    const live = wanted.map((entry) => ({
      ...entry,
      clientConfig: { ...asObject(entry.clientConfig), caBundle: 'AAAA' },
    }));
    expect(standing({ webhooks: live }, wanted).equal).toBe(true);
    const ours = entries({ namespaces: ['shop'], authorities: [] }, SETTINGS);
    expect(standing({ webhooks: live }, ours).equal).toBe(false);
  });

  it.each<[string, (entry: JsonObject) => JsonObject]>([
    ['another policy', (entry) => ({ ...entry, failurePolicy: 'Ignore' })],
    ['another server', (entry) => ({ ...entry, clientConfig: { url: 'https://192.0.2.1' } })],
    [
      'one more condition',
      (entry) => ({ ...entry, matchConditions: [...asList(entry.matchConditions), { name: 'x' }] }),
    ],
    ['a narrower selector', (entry) => ({ ...entry, objectSelector: { matchLabels: { a: 'b' } } })],
  ])('is not equal with %s', (_, change) => {
    expect(standing({ webhooks: wanted.map(change) }, wanted).equal).toBe(false);
  });

  it('is not equal with an entry too few or too many', () => {
    expect(standing({ webhooks: wanted.slice(1) }, wanted).equal).toBe(false);
    expect(standing({ webhooks: wanted }, wanted.slice(1)).equal).toBe(false);
  });

  it.each([undefined, null, 3, { webhooks: 'x' }, { webhooks: [null, { name: 3 }] }])('is nothing in %j', (value) => {
    expect(standing(value, wanted)).toMatchObject({
      equal: false,
      registered: false,
      namespaces: [],
      carried: [],
      mentioned: [],
    });
  });
});

/** Names of the entries whose selector and conditions a pod meets, as the API server judges. */
function sentBy(
  pod: unknown,
  namespace: string,
  optedIn: readonly string[],
  enroll: EntrySettings['enroll'],
): readonly string[] {
  return entries({ namespaces: optedIn, authorities: [] }, { ...SETTINGS, enroll })
    .filter(
      (entry) => selects(entry, namespace) && asList(entry.matchConditions).every((condition) => holds(condition, pod)),
    )
    .map((entry) => {
      expect([PODS_ENTRY, NAMESPACES_ENTRY]).toContain(entry.name);
      return asString(entry.name);
    });
}

function selects(entry: JsonObject, namespace: string): boolean {
  const [expression] = asList(asObject(entry.namespaceSelector).matchExpressions).map(asObject);
  const listed = asList(expression?.values).includes(namespace);
  return expression?.operator === 'In' ? listed : !listed;
}

function holds(condition: unknown, object: unknown): boolean {
  return parse(asString(asObject(condition).expression))({ object }) === true;
}
