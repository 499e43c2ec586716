import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asObject, type JsonObject } from '../../src/admission/json.ts';
import { createPods, getPods, waitReady } from '../support/cluster-pods.ts';
import {
  at,
  createNamespace,
  deleteNamespaces,
  GATE,
  INITIALIZE,
  kubectl,
  listAt,
  STATUS,
  textAt,
} from '../support/cluster.ts';
import {
  type ChartCarrier,
  installedCarrier,
  installTemplateIstio,
  removeTemplateIstio,
  TEMPLATE_REVISION,
  useCarrier,
} from '../support/gate-carriers.ts';
import { acrossModes, normalised } from '../support/gate-normalised.ts';
import { chartGateSettings } from '../support/gate-settings.ts';
import { POD_SHAPES, shapedPod } from '../support/gate-shapes.ts';
import { runProduct } from '../support/product.ts';

const RESTRICTED = { 'pod-security.kubernetes.io/enforce': 'restricted' };
const INJECTED = { 'istio-injection': 'enabled' };
const NOT_INJECTED = { 'istio-injection': 'disabled' };
/** Where Istio injects and nothing else touches the pod, as `istioctl kube-inject` would. */
const INJECTOR = 'pnc-test-carrier-inject';

interface Carrier {
  readonly title: string;
  /** What the chart puts in the gate with meanwhile. */
  readonly chart: ChartCarrier;
  readonly labels: Readonly<Record<string, string>>;
  readonly prepare?: () => Promise<void>;
  readonly end?: () => Promise<void>;
  readonly pods: () => Promise<readonly object[]>;
}

const asWritten = () => Promise.resolve(POD_SHAPES.map((shape) => shapedPod(shape)));

/** The first is what the others are compared with. */
const CARRIERS: readonly Carrier[] = [
  { title: 'policy', chart: 'policy', labels: INJECTED, pods: asWritten },
  { title: 'webhook', chart: 'webhook', labels: INJECTED, pods: asWritten },
  {
    title: 'template',
    chart: 'none',
    labels: { 'istio.io/rev': TEMPLATE_REVISION },
    prepare: installTemplateIstio,
    end: removeTemplateIstio,
    pods: asWritten,
  },
  {
    title: 'gate-pod',
    chart: 'none',
    labels: NOT_INJECTED,
    prepare: () => createNamespace(INJECTOR, { labels: INJECTED }),
    end: () => deleteNamespaces([INJECTOR]),
    pods: gatedByHand,
  },
];

let before: ChartCarrier;
const stored = new Map<string, ReadonlyMap<string, unknown>>();

beforeAll(async () => {
  before = await installedCarrier();
});
afterAll(async () => {
  await useCarrier(before);
  process.stdout.write(`${table()}\n`);
});

describe.each(CARRIERS)('$title', ({ title, chart, labels, prepare, end, pods }) => {
  const namespace = namespaceOf(title);

  beforeAll(async () => {
    await useCarrier(chart);
    await prepare?.();
    await createNamespace(namespace, { labels: { ...labels, ...RESTRICTED } });
    await createPods(namespace, await pods());
    const names = POD_SHAPES.map(({ name }) => name);
    await waitReady(namespace, names).catch(() => undefined);
    const found = await getPods(namespace);
    stored.set(title, new Map(found.map((pod) => [textAt(pod, 'metadata', 'name'), pod])));
  });
  afterAll(async () => {
    await deleteNamespaces([namespace]);
    await end?.();
  });

  it.each(POD_SHAPES)('$title: admitted, gated first, captured and running', ({ name }) => {
    const pod = stored.get(title)?.get(name);
    expect(textAt(pod, 'status', 'phase')).toBe('Running');
    expect(isReady(pod)).toBe(true);
    expect([GATE, 'istio-validation']).toContain(textAt(pod, 'spec', 'initContainers', 0, 'name'));
    expect(listAt(pod, 'spec', 'initContainers').map((one) => textAt(one, 'name'))).not.toContain('istio-init');
    expect(textAt(pod, 'metadata', 'annotations', STATUS)).toBe('initialized');
  });

  it.each(POD_SHAPES)('$title: the same pod as with every other carrier', ({ name }) => {
    const [ours, first] = [comparable(title, name), comparable('policy', name)];
    if (title === 'template') expect(acrossModes(ours)).toEqual(acrossModes(first));
    else expect(ours).toEqual(first);
  });
});

/** What Istio's injector makes of the pods, with the gate put in by the verb. */
async function gatedByHand(): Promise<readonly object[]> {
  const { image } = await chartGateSettings();
  const pods: object[] = [];
  for (const shape of POD_SHAPES) {
    const args = ['create', '-n', INJECTOR, '--dry-run=server', '-o', 'json', '-f', '-'];
    // Without its wish the pod comes back as Istio made it, istio-init and all.
    const injected = asObject(JSON.parse(await kubectl(args, { input: JSON.stringify(shapedPod(shape, 'false')) })));
    const input = JSON.stringify(asManifest(injected));
    const { status, stdout, stderr } = runProduct(['gate-pod', '-f', '-', '--image', image], { input });
    expect([status, stderr]).toEqual([0, expect.stringContaining('1 of 1 pods gated')]);
    pods.push(asObject(JSON.parse(stdout)));
  }
  return pods;
}

function asManifest({ kind, apiVersion, metadata, spec }: JsonObject): JsonObject {
  const { name, labels, annotations } = asObject(metadata);
  return {
    kind,
    apiVersion,
    metadata: { name, labels, annotations: { ...asObject(annotations), [INITIALIZE]: 'true' } },
    spec,
  };
}

function comparable(title: string, name: string): JsonObject {
  const pod = stored.get(title)?.get(name);
  if (pod === undefined) throw new Error(`${title}: there is no pod ${name}`);
  // What gate-pod was given went through another Namespace first.
  return normalised(JSON.parse(JSON.stringify(pod).replaceAll(INJECTOR, namespaceOf(title))), namespaceOf(title));
}

function namespaceOf(title: string): string {
  return `pnc-test-carrier-${title}`;
}

function isReady(pod: unknown): boolean {
  return listAt(pod, 'status', 'conditions').some(
    (condition) => at(condition, 'type') === 'Ready' && at(condition, 'status') === 'True',
  );
}

/** Carrier by pod shape, for people. */
function table(): string {
  const cell = (title: string, name: string): string => {
    const pod = stored.get(title)?.get(name);
    if (pod === undefined) return 'refused';
    if (!isReady(pod)) return textAt(pod, 'status', 'phase');
    const [ours, first] = [comparable(title, name), comparable('policy', name)].map(acrossModes);
    return JSON.stringify(ours) === JSON.stringify(first) ? 'same, running' : 'differs';
  };
  const titles = CARRIERS.map(({ title }) => title);
  const rows = POD_SHAPES.map(({ title, name }) => [title, ...titles.map((carrier) => cell(carrier, name))]);
  return [['pod', ...titles], ...rows]
    .map((row) =>
      row
        .map((text) => text.padEnd(30))
        .join('')
        .trimEnd(),
    )
    .join('\n');
}
