import { describe, expect, it } from 'vitest';
import { podsOfManifest } from './parse-manifest.ts';
import { parseNamespace, parsePod } from './parse-pod.ts';

const metadata = { name: 'a', namespace: 'ns', uid: 'u', resourceVersion: '1' };
const container = {
  name: 'app',
  image: 'x',
  env: [{ name: 'A', value: '1' }, { name: 'B' }, { name: 'C', valueFrom: { fieldRef: {} } }],
};

describe('parsePod', () => {
  it('keeps what is read and drops the rest, also what a newer API may add', () => {
    const pod = parsePod({
      metadata: { ...metadata, managedFields: [1, 2], deletionTimestamp: '2026-01-01T00:00:00Z' },
      spec: {
        nodeName: 'n',
        hostUsers: false,
        fromTheFuture: { x: 1 },
        containers: [{ ...container, futureField: true }],
      },
      status: { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] },
    });
    expect(pod).toMatchObject({ namespace: 'ns', nodeName: 'n', phase: 'Running', deleting: true, hostUsers: false });
    expect(pod.podIPs).toEqual(['10.0.0.1', 'fd00::1']);
    expect(JSON.stringify(pod)).not.toContain('uture');
  });

  it('tells an empty value from one that cannot be known', () => {
    const [app] = parsePod({ metadata, spec: { containers: [container] } }).containers;
    expect(app?.env).toEqual([
      { name: 'A', value: '1' },
      { name: 'B', value: '' },
      { name: 'C', value: undefined },
    ]);
  });

  it('takes null for absent, as Kubernetes JSON does', () => {
    const pod = parsePod({
      metadata: { ...metadata, annotations: null, labels: null },
      spec: { containers: null, initContainers: null },
      status: null,
    });
    expect(pod).toMatchObject({ annotations: {}, containers: [], phase: '', hostNetwork: false, hostUsers: true });
  });

  it.each([
    [{ metadata, spec: { hostNetwork: 'yes' } }, /pod ns\/a: spec\.hostNetwork/],
    [{ metadata, spec: { containers: [{ name: 'app', args: 'x' }] } }, /spec\.containers\.0\.args/],
    [{ metadata, spec: { containers: [{ name: 'app', securityContext: { runAsUser: -1 } }] } }, /runAsUser/],
    [{ metadata: { ...metadata, annotations: { a: 1 } }, spec: {} }, /metadata\.annotations\.a/],
    [{ spec: {} }, /\(without a name\)/],
    ['text', /\(without a name\)/],
  ])('names the pod and the field of %j', (object, message) => {
    expect(() => parsePod(object)).toThrow(message);
  });
});

describe('parseNamespace', () => {
  it('reads annotations, and names what is wrong', () => {
    expect(parseNamespace({ metadata: { name: 'ns', annotations: { a: 'b' } } }).annotations).toEqual({ a: 'b' });
    expect(() => parseNamespace({ metadata: { name: 'ns', labels: 'x' } })).toThrow(/namespace ns: metadata\.labels/);
  });
});

describe('podsOfManifest', () => {
  const spec = { containers: [container] };
  const template = { metadata: { labels: { app: 'a' } }, spec };
  const owner = (kind: string, ownerSpec: object) => ({
    kind,
    metadata: { name: 'owner', namespace: 'ns' },
    spec: ownerSpec,
  });

  it.each(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'ReplicationController'])(
    'finds the pod of a %s',
    (kind) => {
      const [found] = podsOfManifest([owner(kind, { template })]);
      expect(found?.pod).toMatchObject({ name: 'owner', namespace: 'ns', labels: { app: 'a' } });
      expect(found?.source).toBe(`${kind} ns/owner`);
    },
  );

  it('finds those of a CronJob and of nested lists, and passes over what has none', () => {
    const pods = podsOfManifest([
      owner('CronJob', { jobTemplate: { spec: { template } } }),
      { kind: 'Service', metadata: {} },
      // A name every object has.
      { kind: 'constructor', metadata: {} },
      {
        kind: 'List',
        items: [{ kind: 'PodList', items: [{ kind: 'Pod', metadata: { name: 'p' }, spec }] }, { kind: 'ConfigMap' }],
      },
    ]);
    expect(pods.map(({ source }) => source)).toEqual(['CronJob ns/owner', 'Pod default/p']);
  });

  it.each([
    ['no object', ['text'], /not an object/],
    ['no kind', [{ metadata: {} }], /no kind/],
    ['no template', [owner('Deployment', {})], /Deployment: spec\.template is not an object/],
    ['a bad pod', [{ kind: 'Pod', metadata: {}, spec }], /Pod: pod \(without a name\)|metadata\.name/],
  ])('refuses %s', (_, documents, message) => {
    expect(() => podsOfManifest(documents)).toThrow(message);
  });
});
