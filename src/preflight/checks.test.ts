import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CHECKS, runChecks } from './checks.ts';
import { type ClusterFacts, type Fact, known } from './facts.ts';

/** As `preflight` gathered them from the lab: Kubernetes 1.36, containerd, a stock Istio, and this product. */
const LAB: ClusterFacts = JSON.parse(readFileSync(join(import.meta.dirname, 'lab-facts.json'), 'utf8'));
const OPTIONS = { namespace: 'istio-pod-network-controller', istioNamespace: 'istio-system', version: '0.1.0' };

type Changes = { readonly [K in keyof ClusterFacts]?: ClusterFacts[K] extends Fact<infer T> ? T : never };

function checked(changes: Changes, options = OPTIONS) {
  const changed = Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, known(value)]));
  const checks = runChecks({ ...LAB, ...changed }, options);
  return new Map(checks.map((check) => [check.id, check]));
}

function valueOf<T>(fact: Fact<T>): T {
  if (!fact.known) throw new Error(fact.why);
  return fact.value;
}

const [node] = valueOf(LAB.nodes);
const [injector] = valueOf(LAB.injectors);
const [agent] = valueOf(LAB.daemonSets);
const groups = valueOf(LAB.groups);
const admission = valueOf(LAB.admission);
const OPENSHIFT = { groups: [...groups, 'security.openshift.io'] };
const OLD_API = { admission: admission.filter((name) => !name.startsWith('mutatingadmission')) };

function nodes(...kinds: readonly object[]): Changes {
  return { nodes: kinds.map((kind) => ({ ...Object(node), ...kind })) };
}
function istio(values: object): Changes {
  return { injectors: [{ ...Object(injector), ...values }] };
}
function namespace(name: string, labels: Record<string, string>, initialize?: string) {
  return {
    name,
    labels,
    annotations: initialize === undefined ? {} : { 'istio-pod-network-controller/initialize': initialize },
  };
}
const enforce = (level: string) => ({ 'pod-security.kubernetes.io/enforce': level });
const INJECTED = { 'istio-injection': 'enabled' };
const daemonSet = (changes: object) => ({ daemonSets: [{ ...Object(agent), ...changes }] });
const meshPod = {
  namespace: 'shop',
  name: 'a',
  initialize: undefined,
  sidecar: true,
  init: 'istio-init',
  reported: false,
} as const;

const CASES: readonly (readonly [id: string, verdict: string, finding: RegExp, changes: Changes])[] = [
  ['kubernetes-version', 'ok', /v1\.30/, { version: 'v1.30.0-gke.1' }],
  ['kubernetes-version', 'fail', /older than 1\.30/, { version: 'v1.29.9' }],
  ['kubernetes-version', 'warn', /no version/, { version: 'main' }],
  ['validating-policies', 'fail', /not served/, { admission: [] }],
  ['gate-carrier', 'ok', /MutatingAdmissionPolicy, which needs no server/, {}],
  ['gate-carrier', 'ok', /the webhook/, OLD_API],
  ['gate-carrier', 'ok', /the webhook/, OPENSHIFT],
  ['platform', 'ok', /OpenShift/, OPENSHIFT],
  [
    'permissions',
    'fail',
    /may not create daemonsets\.apps/,
    { permissions: [{ verb: 'create', resource: 'daemonsets.apps', allowed: false }] },
  ],
  [
    'node-platform',
    'warn',
    /w \(windows\/amd64\), s \(linux\/s390x\)/,
    nodes({}, { name: 'w', os: 'windows' }, { name: 's', arch: 's390x' }),
  ],
  ['node-platform', 'fail', /no node runs Linux/, nodes({ os: 'windows' })],
  ['node-kernel', 'ok', /5\.14\.0-427/, nodes({ kernel: '5.14.0-427.el9.x86_64' })],
  ['node-kernel', 'fail', /rhel8 \(4\.18\.0/, nodes({}, { name: 'rhel8', kernel: '4.18.0-553.el8_10.x86_64' })],
  ['node-kernel', 'ok', /6\.18/, nodes({}, { os: 'windows', kernel: '10.0.20348' })],
  ['node-runtime', 'ok', /cri-o/, nodes({ runtime: 'cri-o://1.29.1' })],
  ['node-runtime', 'fail', /older than containerd 1\.6/, nodes({ runtime: 'containerd://1.5.18' })],
  ['node-runtime', 'warn', /told of Docker: lab \(docker:\/\/24/, nodes({ runtime: 'docker://24.0.1' })],
  ['node-runtime', 'warn', /nobody has seen this work: .*rkt/, nodes({ runtime: 'rkt://1.30.0' })],
  ['runtime-validator', 'ok', /only a node can tell/, {}],
  [
    'runtime-validator',
    'ok',
    /not for gate\.mode=runtime: lab \(containerd:\/\/2\.1\.9\)/,
    nodes({ runtime: 'containerd://2.1.9' }),
  ],
  ['runtime-validator', 'ok', /cri-o:\/\/1\.33\.0/, nodes({ runtime: 'cri-o://1.33.0' })],
  ['runtime-validator', 'ok', /switched on/, nodes({ runtime: 'cri-o://1.34.1' })],
  ['runtime-socket', 'ok', /only a node can tell/, {}],
  ['runtime-socket', 'warn', /k3s/, nodes({ kubelet: 'v1.31.1+k3s1' })],
  ['runtime-socket', 'warn', /\/var\/run\/crio\/crio\.sock/, nodes({ runtime: 'cri-o://1.29.1' })],
  ['runtime-socket', 'warn', /\/var\/run\/cri-dockerd\.sock/, nodes({ runtime: 'docker://26.1.5' })],
  ['runtime-socket', 'warn', /several kinds/, nodes({}, { kubelet: 'v1.31.1+rke2r1' })],
  ['istiod', 'fail', /no istiod in namespace istio-system/, { istiods: [] }],
  [
    'istiod',
    'fail',
    /not available: istio-system\/istiod/,
    { istiods: [{ namespace: 'istio-system', name: 'istiod', revision: 'default', image: '', available: 0 }] },
  ],
  ['injector-order', 'ok', /istio-sidecar-injector/, {}],
  ['injector-order', 'warn', /after ours: zzz/, { injectorWebhooks: ['zzz'] }],
  ['injector-order', 'fail', /after ours: zzz/, { ...OLD_API, injectorWebhooks: ['zzz'] }],
  ['injector-order', 'warn', /no webhook injects/, { injectorWebhooks: [] }],
  ['istio-mode', 'ok', /injects istio-init/, {}],
  ['istio-mode', 'ok', /injects istio-validation/, istio({ cniEnabled: true })],
  ['istio-mode', 'fail', /multus/, istio({ cniEnabled: true, cniProvider: 'multus' })],
  ['istio-mode', 'ok', /istio-init/, istio({ cniProvider: 'multus' })],
  ['istio-mode', 'warn', /no ConfigMap/, { injectors: [] }],
  ['istio-platform', 'warn', /not set for OpenShift: revision default/, OPENSHIFT],
  ['istio-platform', 'ok', /last uid/, { ...OPENSHIFT, ...istio({ platform: 'openshift' }) }],
  [
    'istio-seccomp',
    'warn',
    /shop enforces restricted/,
    { namespaces: [namespace('shop', { ...INJECTED, ...enforce('restricted') }, 'true')] },
  ],
  [
    'istio-seccomp',
    'ok',
    /is set/,
    { ...istio({ seccompProfile: 'RuntimeDefault' }), namespaces: [namespace('shop', enforce('restricted'), 'true')] },
  ],
  ['istio-interception-mode', 'warn', /TPROXY in revision default/, istio({ interceptionMode: 'TPROXY' })],
  ['istio-nftables', 'ok', /is true/, istio({ nativeNftables: true })],
  [
    'istio-cni',
    'warn',
    /namespace istio-system, leaves alone: a/,
    { cni: { namespace: 'istio-system', ambient: false, excludedNamespaces: ['a'] } },
  ],
  [
    'ambient',
    'fail',
    /both ambient and opted in: shop/,
    { namespaces: [namespace('shop', { 'istio.io/dataplane-mode': 'ambient' }, 'true')] },
  ],
  ['ambient', 'warn', /ambient: shop/, { namespaces: [namespace('shop', { 'istio.io/dataplane-mode': 'ambient' })] }],
  ['previous-install', 'ok', /0\.1\.0, the same/, {}],
  ['previous-install', 'ok', /none/, { daemonSets: [] }],
  ['previous-install', 'ok', /none/, daemonSet({ namespace: 'other', hostPid: true })],
  ['previous-install', 'ok', /this one is 0\.1\.0/, daemonSet({ labels: { 'app.kubernetes.io/version': '0.0.9' } })],
  ['previous-install', 'warn', /newer/, daemonSet({ labels: { 'app.kubernetes.io/version': '0.2.0' } })],
  ['previous-install', 'fail', /from namespace other/, daemonSet({ namespace: 'other' })],
  [
    'original-operator',
    'fail',
    /DaemonSet .*istio-pod-network-controller/,
    daemonSet({ hostPid: true, privileged: true }),
  ],
  [
    'opted-in-pods',
    'warn',
    /without a gate: shop\/a/,
    { namespaces: [namespace('shop', {}, 'true')], pods: { pods: [meshPod], complete: true } },
  ],
  [
    'opted-in-pods',
    'ok',
    /1 pod ask.*not all/,
    { pods: { pods: [{ ...meshPod, init: 'gate', initialize: 'true' }], complete: false } },
  ],
  [
    'opted-in-pods',
    'ok',
    /0 pods/,
    {
      namespaces: [namespace('shop', {}, 'true')],
      pods: { pods: [{ ...meshPod, initialize: 'false' }], complete: true },
    },
  ],
  ['install-namespace', 'ok', /privileged/, {}],
  ['install-namespace', 'ok', /does not exist yet/, { namespaces: [] }],
  [
    'install-namespace',
    'fail',
    /restricted, which refuses/,
    { namespaces: [namespace(OPTIONS.namespace, enforce('restricted'))] },
  ],
  ['install-namespace', 'warn', /Istio injects/, { namespaces: [namespace(OPTIONS.namespace, INJECTED)] }],
  [
    'mesh-namespaces',
    'ok',
    /1 namespace injected; opted in: shop/,
    { namespaces: [namespace('shop', INJECTED, 'true')] },
  ],
  ['mesh-namespaces', 'warn', /only pods that ask: shop/, { namespaces: [namespace('shop', {}, 'true')] }],
  [
    'pod-security',
    'warn',
    /istio-init is refused in shop/,
    { namespaces: [namespace('shop', { 'istio.io/rev': 'a', ...enforce('baseline') })] },
  ],
  [
    'pod-security',
    'ok',
    /enforced in shop/,
    { ...istio({ cniEnabled: true }), namespaces: [namespace('shop', { ...INJECTED, ...enforce('restricted') })] },
  ],
  ['pod-security', 'ok', /could now: shop/, { namespaces: [namespace('shop', INJECTED, 'true')] }],
];

describe('a check', () => {
  it.each(CASES)('%s: %s: %s', (id, verdict, finding, changes) => {
    const check = checked(changes).get(id);
    expect(check).toMatchObject({ id, verdict, finding: expect.stringMatching(finding) });
    // Whoever is told that something is wrong is told what to do.
    expect(check?.wayOut !== undefined).toBe(verdict === 'warn' || verdict === 'fail');
  });

  it('of every id has a case, and nothing is wrong with the lab', () => {
    const ids = CHECKS.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => !CASES.some(([tested]) => tested === id))).toEqual([]);
    expect([...checked({}).values()].filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
  });

  it('whose facts may not be read is skipped and says why; the others are judged', () => {
    const facts = { ...LAB, nodes: { known: false, why: 'no permission to list nodes' } as const };
    const checks = runChecks(facts, OPTIONS);
    const skipped = checks.filter(({ verdict }) => verdict === 'skipped');
    expect(skipped.map(({ id }) => id)).toEqual([
      'node-platform',
      'node-kernel',
      'node-runtime',
      'runtime-validator',
      'runtime-socket',
    ]);
    expect(skipped.every(({ finding }) => finding === 'no permission to list nodes')).toBe(true);
    const nothing = { known: false, why: 'nothing' } as const;
    const blind = Object.fromEntries(Object.keys(LAB).map((key) => [key, nothing])) as unknown as ClusterFacts;
    expect(new Set(runChecks(blind, OPTIONS).map(({ verdict }) => verdict))).toEqual(new Set(['skipped']));
  });
});
