import { describe, expect, it } from 'vitest';
import { parsePod } from '../pod/parse-pod.ts';
import { decide, type EnrollmentOptions } from './decide.ts';
import type { ReasonCode } from './reasons.ts';

const OPTIONS: EnrollmentOptions = {
  excludedNamespaces: ['kube-system'],
  enroll: 'annotated',
  sidecarName: 'istio-proxy',
};
const INITIALIZE = 'istio-pod-network-controller/initialize';

interface Case {
  readonly annotations?: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly namespace?: string;
  readonly namespaceAnnotations?: Record<string, string>;
  readonly phase?: string;
  readonly spec?: object;
  readonly options?: Partial<EnrollmentOptions>;
}

const proxy = { name: 'istio-proxy', args: ['proxy', 'sidecar'] };
const yes = { [INITIALIZE]: 'true' };
const init = (securityContext: object) => ({
  initContainers: [{ name: 'istio-init', securityContext }],
  containers: [proxy],
});

function decideCase(one: Case) {
  const namespace = one.namespace ?? 'bookinfo';
  const pod = parsePod({
    metadata: { name: 'a', namespace, annotations: one.annotations ?? yes, labels: one.labels ?? {} },
    spec: { containers: [{ name: 'app' }, proxy], ...one.spec },
    status: { phase: one.phase ?? 'Pending' },
  });
  return decide(
    pod,
    { name: namespace, labels: {}, annotations: one.namespaceAnnotations ?? {} },
    { ...OPTIONS, ...one.options },
  );
}

const CASES: readonly (readonly [string, ReasonCode, Case])[] = [
  ['asks for it', 'Enrolled', {}],
  ['runs already', 'Enrolled', { phase: 'Running' }],
  ['says nothing, its namespace asks', 'Enrolled', { annotations: {}, namespaceAnnotations: yes }],
  [
    'has a native sidecar',
    'Enrolled',
    { spec: { initContainers: [{ ...proxy, restartPolicy: 'Always' }], containers: [{ name: 'app' }] } },
  ],
  [
    'was injected, and the operator enrolls those',
    'Enrolled',
    { annotations: { 'sidecar.istio.io/status': '{}' }, options: { enroll: 'injected' } },
  ],
  ['has an istio-init without any power', 'Enrolled', { spec: init({}) }],
  ['uses the host network', 'HostNetwork', { spec: { hostNetwork: true } }],
  ['has ended', 'Terminated', { phase: 'Succeeded' }],
  ['is in a phase nobody knows', 'Terminated', { phase: 'Unknown' }],
  ['builds for OpenShift', 'OpenShiftBuild', { annotations: { ...yes, 'openshift.io/build.name': 'b' } }],
  ['deploys for OpenShift', 'OpenShiftBuild', { annotations: { ...yes, 'openshift.io/deployer-pod-for.name': 'b' } }],
  ['is in an excluded namespace', 'NamespaceExcluded', { namespace: 'kube-system' }],
  [
    'opts out, though its namespace opts in',
    'OptedOut',
    { annotations: { [INITIALIZE]: 'false' }, namespaceAnnotations: yes },
  ],
  ['says nothing, nor does its namespace', 'NotSelected', { annotations: {} }],
  [
    'says nothing, its namespace opts out',
    'NotSelected',
    { annotations: {}, namespaceAnnotations: { [INITIALIZE]: 'false' } },
  ],
  [
    'was injected, but the operator wants annotations',
    'NotSelected',
    { annotations: { 'sidecar.istio.io/status': '{}' } },
  ],
  ['says something unclear', 'InvalidSelection', { annotations: { [INITIALIZE]: 'yes' } }],
  [
    'says True, which is not "true"',
    'InvalidSelection',
    { annotations: { [INITIALIZE]: 'True' }, namespaceAnnotations: yes },
  ],
  [
    'has a proxy, its namespace says something unclear',
    'InvalidSelection',
    { annotations: {}, namespaceAnnotations: { [INITIALIZE]: '1' } },
  ],
  [
    'has no proxy, its namespace says something unclear',
    'NotSelected',
    { annotations: {}, namespaceAnnotations: { [INITIALIZE]: '1' }, spec: { containers: [{ name: 'app' }] } },
  ],
  [
    'is a gateway, its namespace says something unclear',
    'NotSelected',
    {
      annotations: {},
      namespaceAnnotations: { [INITIALIZE]: '1' },
      spec: { containers: [{ name: 'istio-proxy', args: ['proxy', 'router'] }] },
    },
  ],
  ['must not be injected by label', 'InjectionDisabled', { labels: { 'sidecar.istio.io/inject': 'false' } }],
  [
    'must not be injected by annotation',
    'InjectionDisabled',
    { annotations: { ...yes, 'sidecar.istio.io/inject': 'false' } },
  ],
  [
    'must be injected by label, whatever the annotation',
    'Enrolled',
    { labels: { 'sidecar.istio.io/inject': 'true' }, annotations: { ...yes, 'sidecar.istio.io/inject': 'false' } },
  ],
  [
    'runs no Envoy',
    'EnvoyDisabled',
    { spec: { containers: [{ ...proxy, env: [{ name: 'DISABLE_ENVOY', value: 'true' }] }] } },
  ],
  ['is a gateway', 'NotASidecar', { spec: { containers: [{ name: 'istio-proxy', args: ['proxy', 'router'] }] } }],
  ['has no proxy', 'NoSidecar', { spec: { containers: [{ name: 'app' }] } }],
  ['has a proxy of another name', 'NoSidecar', { options: { sidecarName: 'other-proxy' } }],
  ['captures itself', 'SelfCaptured', { spec: init({ capabilities: { add: ['NET_ADMIN', 'NET_RAW'] } }) }],
  ['captures itself, fully privileged', 'SelfCaptured', { spec: init({ privileged: true }) }],
];

describe('a pod that', () => {
  it.each(CASES)('%s: %s', (_, reason, one) => {
    const decision = decideCase(one);
    expect(decision.reason).toBe(reason);
    expect(decision.message).not.toBe('');
  });

  it('would be cut off, or does the work itself, is a warning; what is not ours is silent', () => {
    const warned = CASES.filter(([, , one]) => decideCase(one).warn).map(([, reason]) => reason);
    expect([...new Set(warned)].toSorted()).toEqual(['InvalidSelection', 'NoSidecar', 'SelfCaptured']);
  });

  it('is refused names key and value, cut to a line', () => {
    const { action, message } = decideCase({ annotations: { [INITIALIZE]: `${'x'.repeat(500)}\n` } });
    expect(action).toBe('refuse');
    expect(message).toContain(INITIALIZE);
    expect(message.length).toBeLessThan(250);
  });
});
