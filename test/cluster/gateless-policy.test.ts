import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gatePod, heldRefusalOf, refusalOf } from '../../src/admission/gate-pod.ts';
import { asObject, type JsonObject } from '../../src/admission/json.ts';
import {
  at,
  createNamespace,
  deleteNamespaces,
  INITIALIZE,
  kubectl,
  kubectlJson,
  tryKubectl,
  waitFor,
} from '../support/cluster.ts';
import { type ChartCarrier, installedCarrier, useCarrier } from '../support/gate-carriers.ts';
import { stock } from '../support/gate-containers.ts';
import { refusalPod } from '../support/gate-refusals.ts';
import { chartGateSettings } from '../support/gate-settings.ts';
import {
  BINDING_CASES,
  GATELESS_CASES,
  GATELESS_REFUSALS,
  HELD_CASES,
  HELD_POD,
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

describe.each(['policy', 'webhook'] as const)('the %s and the pure function', (carrier) => {
  beforeAll(() => useCarrier(carrier, 'runtime'));

  it.each(GATELESS_CASES)('make the same of: $title', async ({ title, annotations, spec, obstacle }) => {
    const pod = refusalPod(annotations, spec);
    const { pod: after, gated } = gatePod(pod, {}, settings);
    const { code, stdout, stderr } = await create(pod);
    if (obstacle !== undefined) {
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(obstacle) });
      return;
    }
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    // Opted out, so that the API server only adds its defaults to what the function made.
    const byFunction = await create(optedOut(after));
    expect(comparable(stdout), title).toEqual(comparable(byFunction.stdout));
    if (gated) expect(comparable(stdout)).toMatchObject({ spec: { nodeSelector: VALIDATOR_LABEL } });
  });

  it('make it of a pod that Istio has just injected, in one request', async () => {
    const injected = `${NAMESPACE}-injected`;
    await createNamespace(injected, { labels: { 'istio-injection': 'enabled' }, annotations: ON });
    const pod = refusalPod({}, { containers: [{ name: 'app', image: 'docker.io/example/app:1' }] });
    const look = async () => {
      const { code, stdout } = await create(pod, injected);
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
  const spec = { ...stock, nodeSelector: VALIDATOR_LABEL, schedulerName: 'none' };

  it.each(HELD_CASES)('says of an update: $title', async ({ before: old, after, labels, refused }) => {
    await store(old, spec);
    const stored = asObject(await kubectlJson(['get', 'pod', '-n', NAMESPACE, 'refusal']));
    const metadata = { ...asObject(stored['metadata']), annotations: after, labels: labels ?? {} };
    const input = JSON.stringify({ ...stored, metadata });
    const whole = await tryKubectl(['replace', '--dry-run=server', '-f', '-'], { input });
    const status = await tryKubectl(['replace', '--subresource=status', '--dry-run=server', '-f', '-'], { input });
    await remove();
    for (const { code, stderr } of [whole, status]) {
      expect({ code, stderr }).toEqual(
        refused === undefined ? { code: 0, stderr: '' } : { code: 1, stderr: expect.stringContaining(refused) },
      );
      expect(stderr).toContain(heldRefusalOf({ ...stored, metadata }, {}, settings, stored) ?? '');
    }
  });

  it.each(BINDING_CASES)('says of a Binding that brings $title', async ({ annotations, refused }) => {
    await store(HELD_POD, spec);
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: 'refusal', namespace: NAMESPACE, annotations },
      target: { apiVersion: 'v1', kind: 'Node', name: 'no-such-node' },
    };
    const results = [];
    for (const path of [`pods/refusal/binding`, 'bindings']) {
      const args = ['create', '--raw', `/api/v1/namespaces/${NAMESPACE}/${path}?dryRun=All`, '-f', '-'];
      results.push(await tryKubectl(args, { input: JSON.stringify(binding) }));
    }
    await remove();
    for (const { code, stderr } of results) {
      if (refused === undefined) expect(stderr).not.toContain(HELD);
      else expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(`of its pod: ${refused}`) });
    }
  });

  it.each([GATED, HELD])('%s has no expression the API server warns about', async (name) => {
    const policy = await kubectlJson(['get', 'validatingadmissionpolicy', name]);
    expect(at(policy, 'status', 'observedGeneration')).toBe(at(policy, 'metadata', 'generation'));
    expect(at(policy, 'status', 'typeChecking', 'expressionWarnings')).toBeUndefined();
  });
});

/** A pod as it is, whatever the policies for new ones say: first opted out, then as it shall be. */
async function store(annotations: Readonly<Record<string, string>>, spec: JsonObject): Promise<void> {
  const input = JSON.stringify(refusalPod({ [INITIALIZE]: 'false' }, spec));
  await kubectl(['create', '-n', NAMESPACE, '-f', '-'], { input });
  const wanted = { [INITIALIZE]: null, ...annotations };
  const patch = JSON.stringify({ metadata: { annotations: wanted } });
  await kubectl(['patch', 'pod', '-n', NAMESPACE, 'refusal', '--type=merge', '-p', patch]);
}

async function remove(): Promise<void> {
  await kubectl(['delete', 'pod', '-n', NAMESPACE, 'refusal', '--grace-period=0', '--force']);
}

function create(pod: unknown, namespace = NAMESPACE) {
  const args = ['create', '-n', namespace, '--dry-run=server', '-o', 'json', '-f', '-'];
  return tryKubectl(args, { input: JSON.stringify(pod) });
}

/** What the carriers may change, as the API server would store it. */
function comparable(text: string): JsonObject {
  const { metadata, spec } = asObject(JSON.parse(text));
  const { [INITIALIZE]: _, ...annotations } = asObject(asObject(metadata)['annotations']);
  return { annotations, spec };
}

function optedOut(pod: unknown): JsonObject {
  const root = asObject(pod);
  const metadata = asObject(root['metadata']);
  const annotations = { ...asObject(metadata['annotations']), [INITIALIZE]: 'false' };
  return { ...root, metadata: { ...metadata, annotations } };
}
