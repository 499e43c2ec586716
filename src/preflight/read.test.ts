import { describe, expect, it } from 'vitest';
import { wantedPermissions, resourceName } from './permissions.ts';
import { readDaemonSet, readInjectorWebhook, readIstiod, readMeshPod, readNode } from './read-cluster.ts';
import { readCni, readInjectors } from './read-istio.ts';

const configMap = (name: string, data: Record<string, string>) => ({ metadata: { name }, data });

describe('the settings of Istio', () => {
  const values = (more: object) => JSON.stringify({ pilot: { cni: { enabled: true, provider: 'multus' } }, ...more });

  it('are read for each revision, with the mesh of the same one', () => {
    const found = readInjectors(
      [
        configMap('istio-sidecar-injector', { values: '{}' }),
        configMap('istio-sidecar-injector-canary', {
          values: values({ global: { platform: 'openshift', proxy: { seccompProfile: { type: 'RuntimeDefault' } } } }),
        }),
        configMap('istio-canary', { mesh: 'defaultConfig:\n  interceptionMode: TPROXY\n' }),
        configMap('istio', { mesh: 'rootNamespace: istio-system' }),
        configMap('other', {}),
      ],
      undefined,
    );
    expect(found).toEqual([
      {
        revision: 'default',
        cniEnabled: false,
        cniProvider: 'default',
        platform: '',
        seccompProfile: '',
        nativeNftables: false,
        interceptionMode: 'REDIRECT',
      },
      {
        revision: 'canary',
        cniEnabled: true,
        cniProvider: 'multus',
        platform: 'openshift',
        seccompProfile: 'RuntimeDefault',
        nativeNftables: false,
        interceptionMode: 'TPROXY',
      },
    ]);
  });

  it('of one revision only, and of versions that write something else', () => {
    const maps = [
      configMap('istio-sidecar-injector', { values: '{' }),
      configMap('istio-sidecar-injector-b', {}),
      configMap('istio', { mesh: '[' }),
    ];
    expect(readInjectors(maps, 'b').map(({ revision }) => revision)).toEqual(['b']);
    expect(readInjectors(maps, undefined)).toHaveLength(2);
    expect(readInjectors([{}, 7, null], undefined)).toEqual([]);
  });

  it('of istio-cni, which may have none', () => {
    expect(
      readCni('ns', configMap('istio-cni-config', { AMBIENT_ENABLED: 'true', EXCLUDE_NAMESPACES: 'kube-system, a' })),
    ).toEqual({
      namespace: 'ns',
      ambient: true,
      excludedNamespaces: ['kube-system', 'a'],
    });
    expect(readCni('ns', undefined)).toEqual({ namespace: 'ns', ambient: false, excludedNamespaces: [] });
  });
});

describe('objects of the cluster', () => {
  const pod = (spec: object, annotations = {}) =>
    readMeshPod({ metadata: { name: 'a', namespace: 'n', annotations }, spec });
  const proxy = { name: 'istio-proxy' };

  it.each([
    ['gate', [{ name: 'istio-pod-network-controller-gate' }, proxy]],
    ['gate', [{ name: 'mine', args: ['init'] }]],
    ['istio-init', [{ name: 'istio-init' }]],
    ['istio-validation', [{ name: 'istio-validation' }, proxy]],
    ['none', []],
  ])('a mesh pod that has %s', (init, initContainers) => {
    expect(pod({ initContainers, containers: [proxy] })).toMatchObject([{ init, sidecar: true }]);
  });

  it('a mesh pod that the runtime holds back', () => {
    const held = { 'required-plugins.noderesource.dev': '["istio-pod-network-controller"]' };
    expect(pod({ containers: [proxy] }, held)).toMatchObject([{ init: 'runtime' }]);
    expect(pod({ containers: [proxy] }, { 'required-plugins.noderesource.dev': '[]' })).toMatchObject([
      { init: 'none' },
    ]);
  });

  it('pods of nobody here are left out, and what is no object is passed over', () => {
    expect(pod({ containers: [{ name: 'app' }] })).toEqual([]);
    expect(pod({ containers: [] }, { 'istio-pod-network-controller/initialize': 'x' })).toMatchObject([
      { initialize: 'x' },
    ]);
    for (const read of [readMeshPod, readNode, readDaemonSet, readIstiod, readInjectorWebhook])
      for (const object of [undefined, 7, {}, { metadata: { name: 5 } }]) expect(read(object)).toEqual([]);
  });

  it('webhooks of the injector, also of its tags', () => {
    const webhook = (name: string, hook: string) =>
      readInjectorWebhook({ metadata: { name }, webhooks: [{ name: hook }] });
    expect(webhook('istio-revision-tag-prod', 'rev.namespace.sidecar-injector.istio.io')).toEqual([
      'istio-revision-tag-prod',
    ]);
    expect(webhook('other', 'pods.other.example')).toEqual([]);
  });

  it('a privileged DaemonSet in the pid namespace of the host', () => {
    const spec = {
      hostPID: true,
      containers: [
        { name: 'a', image: 'quay.io/x/istio-pod-network-controller:v1', securityContext: { privileged: true } },
      ],
    };
    expect(readDaemonSet({ metadata: { name: 'a', namespace: 'n' }, spec: { template: { spec } } })).toMatchObject([
      { hostPid: true, privileged: true, images: ['quay.io/x/istio-pod-network-controller:v1'] },
    ]);
  });
});

describe('what an install creates', () => {
  it('depends on the carrier and on the platform', () => {
    const names = (carrier: 'policy' | 'webhook', openShift = false) =>
      wantedPermissions({ carrier, openShift }).map(resourceName);
    expect(names('policy')).toContain('mutatingadmissionpolicies.admissionregistration.k8s.io');
    expect(names('policy')).not.toContain('deployments.apps');
    expect(names('webhook')).toContain('mutatingwebhookconfigurations.admissionregistration.k8s.io');
    expect(names('webhook', true)).toContain('securitycontextconstraints.security.openshift.io');
  });
});
