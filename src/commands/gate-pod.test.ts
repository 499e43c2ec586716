import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { GATE_CASES, GATE_NAMESPACES } from '../../test/support/gate-cases.ts';
import { stock } from '../../test/support/gate-containers.ts';
import { SAMPLE_GATELESS } from '../../test/support/gate-settings.ts';
import { runProduct } from '../../test/support/product.ts';
import { type GateSettings, gatePod } from '../admission/gate-pod.ts';

const IMAGE = 'docker.io/example/gate:7';
const GATE = 'istio-pod-network-controller-gate';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'istio-pnc-gate-pod-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** The verb over a manifest on standard input. */
function gate(input: string, ...argv: readonly string[]) {
  return runProduct(['gate-pod', '-f', '-', '--image', IMAGE, ...argv], { input });
}

const DEPLOYMENT = `# The whole shop.
apiVersion: v1
kind: Service
metadata: {name: shop}   # stays as it is
---
# What istioctl kube-inject printed.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 3   # busy
  template:
    metadata:
      annotations:
        istio-pod-network-controller/initialize: "true"
    spec:
      initContainers:
      - name: istio-init
        image: docker.io/istio/proxyv2:1
        args: [istio-iptables, -p, "15001"]
        securityContext: {runAsUser: 0}
      # Fills the cache.
      - name: warm-up
        image: 'docker.io/example/shop:1'
      containers:
      - name: istio-proxy   # by Istio
        args: [proxy, sidecar]
      - name: shop
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "shop"}
data:
    odd-indentation: yes
`;

describe('gate-pod', () => {
  it('changes pods in their place, keeps what else there is, and says what it did', () => {
    const { status, stdout, stderr } = gate(DEPLOYMENT);
    expect(stderr).toBe('Deployment default/shop: gated: the gate takes the place of istio-init\n1 of 1 pods gated\n');
    expect(status).toBe(0);
    const [service, deployment, configMap] = stdout.split('---\n');
    const [before, , after] = DEPLOYMENT.split('---\n');
    expect(service).toBe(before);
    expect(configMap).toBe(after);
    expect(deployment).toMatchInlineSnapshot(`
      "# What istioctl kube-inject printed.
      apiVersion: apps/v1
      kind: Deployment
      metadata:
        name: shop
      spec:
        replicas: 3 # busy
        template:
          metadata:
            annotations:
              istio-pod-network-controller/initialize: "true"
          spec:
            initContainers:
            - name: istio-pod-network-controller-gate
              image: docker.io/example/gate:7
              imagePullPolicy: IfNotPresent
              args:
              - init
              - --timeout=300
              - --
              - istio-iptables
              - -p
              - "15001"
              env: []
              resources:
                requests:
                  cpu: 10m
                  memory: 64Mi
                limits:
                  cpu: "1"
                  memory: 128Mi
              securityContext:
                allowPrivilegeEscalation: false
                capabilities:
                  drop:
                  - ALL
                privileged: false
                readOnlyRootFilesystem: true
                runAsNonRoot: true
                seccompProfile:
                  type: RuntimeDefault
              terminationMessagePolicy: FallbackToLogsOnError
            # Fills the cache.
            - name: warm-up
              image: 'docker.io/example/shop:1'
            containers:
            - name: istio-proxy # by Istio
              args: [ proxy, sidecar ]
            - name: shop
      "
    `);
  });

  it('leaves no container behind where the runtime holds pods back', () => {
    const { status, stdout, stderr } = gate(DEPLOYMENT, '--gate-mode=runtime');
    expect(stderr).toBe(
      'Deployment default/shop: gated: istio-init taken out: the container runtime holds the pod back\n1 of 1 pods gated\n',
    );
    expect(status).toBe(0);
    expect(stdout.split('---\n')[1]).toMatchInlineSnapshot(`
      "# What istioctl kube-inject printed.
      apiVersion: apps/v1
      kind: Deployment
      metadata:
        name: shop
      spec:
        replicas: 3 # busy
        template:
          metadata:
            annotations:
              istio-pod-network-controller/initialize: "true"
              required-plugins.noderesource.dev: '["istio-pod-network-controller"]'
              pod-network-controller.istio.io/istio-arguments: '{"args":["istio-iptables","-p","15001"],"env":[]}'
          spec:
            initContainers:
            # Fills the cache.
            - name: warm-up
              image: 'docker.io/example/shop:1'
            containers:
            - name: istio-proxy # by Istio
              args: [ proxy, sidecar ]
            - name: shop
            nodeSelector:
              pod-network-controller.istio.io/nri-validator: "true"
      "
    `);
    const again = gate(stdout, '--gate-mode=runtime');
    expect([again.stdout, again.status]).toEqual([stdout, 0]);
  });

  it('makes the same of JSON, of templates without annotations, and of aliases', () => {
    const namespace = join(directory, 'asks.json');
    writeFileSync(
      namespace,
      JSON.stringify({
        kind: 'Namespace',
        metadata: { name: 'default', annotations: GATE_NAMESPACES['gate-opted-in'] },
      }),
    );
    const settings: GateSettings = { ...SAMPLE_GATELESS, image: IMAGE };
    const items = [{ name: 'a' }, { name: 'a', annotations: null }, { name: 'a', annotations: {} }].map((metadata) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: stock,
    }));
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    const { stdout: json } = gate(input, '--gate-mode=runtime', '-n', namespace);
    const wanted = items.map((pod) => gatePod(pod, GATE_NAMESPACES['gate-opted-in'], settings).pod);
    expect(JSON.parse(json).items).toEqual(wanted);
    const yaml = gate(input, '--gate-mode=runtime', '-n', namespace, '-o', 'yaml').stdout;
    expect(parseAllDocuments(yaml)[0]?.toJS().items).toEqual(wanted);
    const aliased = DEPLOYMENT.replace(
      'metadata:\n  name: shop',
      'metadata:\n  annotations: &a {b: c}\n  name: shop',
    ).replace('      annotations:\n        istio-pod-network-controller/initialize: "true"', '      annotations: *a');
    const { stdout, status } = gate(aliased, '--gate-mode=runtime', '-n', namespace);
    expect(status).toBe(0);
    const deployment = parseAllDocuments(stdout)[1]?.toJS();
    expect(deployment.metadata.annotations).toEqual({ b: 'c' });
    expect(Object.keys(deployment.spec.template.metadata.annotations)).toEqual([
      'b',
      'required-plugins.noderesource.dev',
      'pod-network-controller.istio.io/istio-arguments',
    ]);
  });

  it('ends with an error where a list of plugins cannot be extended, and prints nothing', () => {
    const input = DEPLOYMENT.replace(
      'initialize: "true"',
      'initialize: "true"\n        required-plugins.noderesource.dev: "[other]"',
    );
    const { status, stdout, stderr } = gate(input, '--gate-mode=runtime');
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/Deployment default\/shop: annotation required-plugins.noderesource.dev is not a list/);
    expect(gate(input).status).toBe(0);
  });

  it('does nothing the second time, and then prints byte by byte what it read', () => {
    const once = gate(DEPLOYMENT).stdout;
    const { stdout, stderr } = gate(once);
    expect(stdout).toBe(once);
    expect(stderr).toContain('unchanged: it has a gate already\n0 of 1 pods gated');
  });

  it.each(['gate-plain', 'gate-opted-in'] as const)('makes what gatePod makes of all pods of %s', (namespace) => {
    const cases = GATE_CASES.filter((one) => one.namespace === namespace);
    const annotations = GATE_NAMESPACES[namespace];
    const file = join(directory, `${namespace}.json`);
    writeFileSync(file, JSON.stringify({ kind: 'Namespace', metadata: { name: namespace, annotations } }));
    const list = { apiVersion: 'v1', kind: 'List', items: cases.map(({ pod }) => pod) };
    const { stdout } = gate(JSON.stringify(list), '-n', file);
    const settings: GateSettings = {
      mode: 'container',
      nodeSelector: {},
      name: GATE,
      image: IMAGE,
      imagePullPolicy: 'IfNotPresent',
      args: ['--timeout=300'],
      resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '1', memory: '128Mi' } },
      enroll: 'annotated',
      sidecarName: 'istio-proxy',
    };
    expect(JSON.parse(stdout)).toEqual({
      ...list,
      items: cases.map(({ pod }) => gatePod(pod, annotations, settings).pod),
    });
    const yaml = gate(JSON.stringify(list), '-n', file, '-o', 'yaml').stdout;
    expect(parseAllDocuments(yaml)[0]?.toJS()).toEqual(JSON.parse(stdout));
  });

  it('prints several documents as one List where JSON is asked for', () => {
    const { kind, items } = JSON.parse(gate(DEPLOYMENT, '-o', 'json').stdout);
    expect([kind, items.map((item: { kind: string }) => item.kind)]).toEqual([
      'List',
      ['Service', 'Deployment', 'ConfigMap'],
    ]);
    expect(items[1].spec.template.spec.initContainers[0].name).toBe(GATE);
  });

  it('says what to do with a pod that Istio has not injected, and with one nobody asked for', () => {
    const asked = { annotations: { 'istio-pod-network-controller/initialize': 'true' }, name: 'a' };
    const pods = [asked, { name: 'b' }].map((metadata) => ({
      kind: 'Pod',
      metadata,
      spec: { containers: [{ name: 'app' }] },
    }));
    const { status, stdout, stderr } = gate(JSON.stringify({ kind: 'List', items: pods }));
    expect(status).toBe(0);
    expect(stdout).toContain('"containers"');
    expect(stderr).toMatch(/Pod default\/a: unchanged: NoSidecar.*\nPod default\/b: unchanged: NotSelected/);
    expect(stderr).toMatch(/\nInject the manifest first.*\nAnnotate the pod.*\n0 of 2 pods gated\n$/);
  });

  it('leaves excluded namespaces alone, as admission does', () => {
    const { stdout, stderr } = gate(DEPLOYMENT.replaceAll('name: shop\n', 'name: shop\n  namespace: kube-system\n'));
    expect(stderr).toContain('Deployment kube-system/shop: unchanged: NamespaceExcluded');
    expect(stdout).toContain('name: istio-init');
  });

  it('passes on what holds no pod at all', () => {
    const input = 'kind: Service\nmetadata:   {name: a}\n';
    expect(gate(input)).toEqual({ status: 0, stdout: input, stderr: 'nothing here has a pod: unchanged\n' });
  });

  it('copes with anchors that the gate takes away', () => {
    const anchored = DEPLOYMENT.replace(
      'image: docker.io/istio/proxyv2:1',
      'image: &proxy docker.io/istio/proxyv2:1',
    ).replace('args: [proxy, sidecar]', 'image: *proxy');
    const { status, stdout } = gate(anchored);
    expect(status).toBe(0);
    expect(parseAllDocuments(stdout)[1]?.toJS().spec.template.spec.containers[0].image).toBe(
      'docker.io/istio/proxyv2:1',
    );
  });

  it.each([
    ['an unknown format', 'kind: Pod', ['-o', 'text'], /--output: "text" is not allowed: yaml or json/],
    ['broken YAML', 'a: [', [], /ManifestInvalid: standard input/],
    ['a pod that is none', 'kind: Pod\nmetadata: {}\n', [], /ManifestInvalid: Pod/],
    ['a pull policy that is none', 'kind: Pod', ['--gate-image-pull-policy', 'x'], /Always, IfNotPresent, Never/],
  ])('refuses %s', (_, input, argv, message) => {
    const { status, stdout, stderr } = gate(input, ...argv);
    expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([1, '']);
  });
});
