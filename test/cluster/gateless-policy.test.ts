import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { gatePod, heldRefusalOf, refusalOf } from '../../src/admission/gate-pod.ts';
import { asObject, type JsonObject } from '../../src/admission/json.ts';
import { requiresPlugin } from '../../src/enrollment/required-plugins.ts';
import {
  at,
  createNamespace,
  deleteNamespaces,
  INITIALIZE,
  kubectl,
  kubectlJson,
  listAt,
  textAt,
  tryKubectl,
  waitFor,
} from '../support/cluster.ts';
import { type ChartCarrier, installedCarrier, useCarrier } from '../support/gate-carriers.ts';
import { app, nativeProxy, stock, writtenGate } from '../support/gate-containers.ts';
import { refusalPod } from '../support/gate-refusals.ts';
import { chartGateSettings } from '../support/gate-settings.ts';
import {
  BINDING_CASES,
  GATELESS_CASES,
  GATELESS_REFUSALS,
  HELD_CASES,
  VALIDATOR_LABEL,
} from '../support/gateless-cases.ts';

const settings = { ...(await chartGateSettings()), mode: 'runtime' as const };
const NAMESPACE = 'pnc-test-gateless-policy';
const ON = { [INITIALIZE]: 'true' };
const LEARNS = { timeoutMs: 60_000 };
const HELD = 'istio-pod-network-controller-held';
const GATED = 'istio-pod-network-controller-gated';

let before: ChartCarrier;

beforeAll(async () => {
  before = await installedCarrier();
  // Without the label Istio's webhook would inject pods that carry sidecar.istio.io/inject: "true".
  await createNamespace(NAMESPACE, { labels: { 'istio-injection': 'disabled' } });
});
afterAll(async () => {
  await deleteNamespaces([NAMESPACE]);
  await useCarrier(before);
});

const NAMED = GATELESS_CASES.map((one, index) => ({ ...one, name: `case-${index}` }));
const CHANGEABLE = NAMED.filter(({ obstacle }) => obstacle === undefined);
const OBSTRUCTED = NAMED.filter(({ obstacle }) => obstacle !== undefined);

describe.each(['policy', 'webhook'] as const)('the %s and the pure function', (carrier) => {
  let byCarrier: readonly JsonObject[];
  let byFunction: readonly JsonObject[];

  beforeAll(async () => {
    await useCarrier(carrier, 'runtime');
    const pods = CHANGEABLE.map(({ annotations, spec, name }) => refusalPod(annotations, spec, name));
    byCarrier = await createAll(pods);
    // Opted out, so that the API server only adds its defaults to what the function made.
    byFunction = await createAll(pods.map((pod) => optedOut(gatePod(pod, {}, settings).pod)));
  });

  it.each(CHANGEABLE)('make the same of: $title', ({ name, expected }) => {
    const [ours, theirs] = [byFunction, byCarrier].map((all) =>
      all.find((pod) => at(pod, 'metadata', 'name') === name),
    );
    expect(comparable(theirs)).toEqual(comparable(ours));
    if (expected !== undefined) expect(comparable(theirs)).toMatchObject({ spec: { nodeSelector: VALIDATOR_LABEL } });
  });

  it.each(OBSTRUCTED)('refuse: $title', async ({ annotations, spec, obstacle }) => {
    const { code, stderr } = await create(refusalPod(annotations, spec));
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(obstacle ?? '') });
  });

  it('make it of a pod that Istio has just injected, in one request', async () => {
    const injected = `${NAMESPACE}-injected`;
    await createNamespace(injected, { labels: { 'istio-injection': 'enabled' }, annotations: ON });
    const pod = refusalPod({}, { containers: [{ name: 'app', image: 'docker.io/example/app:1' }] });
    const look = async () => {
      const { code, stdout } = await create(pod, { namespace: injected });
      return code === 0 ? asObject(JSON.parse(stdout)) : undefined;
    };
    const made = await waitFor(
      'the Namespace is known',
      async () => {
        const found = await look();
        return at(found, 'metadata', 'annotations', 'required-plugins.noderesource.dev') === undefined
          ? undefined
          : found;
      },
      LEARNS,
    );
    await deleteNamespaces([injected]);
    expect(at(made, 'spec', 'initContainers', 0, 'name')).toBe('istio-proxy');
    expect(at(made, 'spec', 'initContainers', 1)).toBeUndefined();
    expect(at(made, 'metadata', 'annotations')).toMatchObject({
      'required-plugins.noderesource.dev': '["istio-pod-network-controller"]',
      'pod-network-controller.istio.io/istio-arguments': expect.stringMatching(
        /^{"args":\["istio-iptables","-p","15001"/,
      ),
    });
  });
});

describe('the "gated" ValidatingAdmissionPolicy where gates are none', () => {
  // Else nothing would come out with neither.
  beforeAll(async () => {
    await useCarrier('none', 'runtime');
    await waitFor('istio-init is left in', async () => (await create(refusalPod(ON, stock))).code === 1, LEARNS);
  });

  it.each(GATELESS_REFUSALS)('says of a new pod: $title', async ({ annotations, spec, refused }) => {
    const pod = refusalPod(annotations, spec);
    const { code, stderr } = await create(pod);
    expect({ code, stderr }).toEqual(
      refused === undefined ? { code: 0, stderr: '' } : { code: 1, stderr: expect.stringContaining(refused) },
    );
    expect(stderr).toContain(refusalOf(pod, {}, settings) ?? '');
  });
});

describe('the "held" ValidatingAdmissionPolicy', () => {
  const cases = HELD_CASES.map((one, index) => ({ ...one, name: `held-${index}` }));
  let stored: ReadonlyMap<string, JsonObject>;

  beforeAll(async () => {
    const pods = cases.map(({ before: annotations, name }) => refusalPod(annotations, specOf(annotations), name));
    await kubectl(['create', '-n', NAMESPACE, '-f', '-'], { input: JSON.stringify(listOf(pods)) });
    const found = listAt(await kubectlJson(['get', 'pods', '-n', NAMESPACE]), 'items').map(asObject);
    stored = new Map(found.map((pod) => [textAt(pod, 'metadata', 'name'), pod]));
  });

  it.each(cases)('says of an update: $title', async ({ name, after, labels, refused }) => {
    const old = stored.get(name) ?? {};
    const metadata = { ...asObject(old.metadata), annotations: after, labels: labels ?? {} };
    const input = JSON.stringify({ ...old, metadata });
    for (const subresource of [[], ['--subresource=status']]) {
      const args = ['replace', ...subresource, '--dry-run=server', '-f', '-'];
      const { code, stderr } = await tryKubectl(args, { input });
      expect({ code, stderr }).toEqual(
        refused === undefined ? { code: 0, stderr: '' } : { code: 1, stderr: expect.stringContaining(refused) },
      );
      expect(stderr).toContain(heldRefusalOf({ ...old, metadata }, {}, settings, old) ?? '');
    }
  });

  it.each(BINDING_CASES)('says of a Binding that brings $title', async ({ annotations, refused }) => {
    const name = cases[0]?.name ?? '';
    const target = { apiVersion: 'v1', kind: 'Node', name: 'no-such-node' };
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace: NAMESPACE, annotations },
      target,
    };
    for (const path of [`pods/${name}/binding`, 'bindings']) {
      const args = ['create', '--raw', `/api/v1/namespaces/${NAMESPACE}/${path}?dryRun=All`, '-f', '-'];
      const { code, stderr } = await tryKubectl(args, { input: JSON.stringify(binding) });
      if (refused === undefined) expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      else expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(`of its pod: ${refused}`) });
    }
  });

  it.each([GATED, HELD])('%s has no expression the API server warns about', async (name) => {
    const policy = await kubectlJson(['get', 'validatingadmissionpolicy', name]);
    expect(at(policy, 'status', 'observedGeneration')).toBe(at(policy, 'metadata', 'generation'));
    expect(at(policy, 'status', 'typeChecking', 'expressionWarnings')).toBeUndefined();
  });
});

/** What the "gated" policy lets pass: without a gate only what the runtime holds back. No scheduler takes it, so that it stays as it is. */
function specOf(annotations: Readonly<Record<string, string>>): JsonObject {
  const gates = requiresPlugin(annotations) ? [] : [writtenGate];
  return {
    initContainers: [...gates, nativeProxy],
    containers: [app],
    nodeSelector: VALIDATOR_LABEL,
    schedulerName: 'none',
  };
}

function listOf(items: readonly unknown[]): object {
  return { apiVersion: 'v1', kind: 'List', items };
}

/** What the API server would store, of pods that it takes. */
async function createAll(pods: readonly unknown[]): Promise<readonly JsonObject[]> {
  const { code, stdout, stderr } = await create(listOf(pods), { output: 'yaml' });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return parseAllDocuments(stdout).map((document) => asObject(document.toJS()));
}

function create(pod: unknown, { namespace = NAMESPACE, output = 'json' } = {}) {
  const args = ['create', '-n', namespace, '--dry-run=server', '-o', output, '-f', '-'];
  return tryKubectl(args, { input: JSON.stringify(pod) });
}

/** What the carriers may change, as the API server would store it. */
function comparable(pod: unknown): JsonObject {
  const { metadata, spec } = asObject(pod);
  const { [INITIALIZE]: _, ...annotations } = asObject(asObject(metadata)['annotations']);
  return { annotations, spec };
}

function optedOut(pod: unknown): JsonObject {
  const root = asObject(pod);
  const metadata = asObject(root['metadata']);
  const annotations = { ...asObject(metadata['annotations']), [INITIALIZE]: 'false' };
  return { ...root, metadata: { ...metadata, annotations } };
}
