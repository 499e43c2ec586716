import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gatePod, refusalOf } from '../../src/admission/gate-pod.ts';
import { asList, asObject, type JsonObject } from '../../src/admission/json.ts';
import {
  at,
  createNamespace,
  deleteNamespaces,
  INITIALIZE,
  kubectl,
  kubectlJson,
  listAt,
  tryKubectl,
  waitFor,
} from '../support/cluster.ts';
import { type ChartCarrier, installedCarrier, useCarrier } from '../support/gate-carriers.ts';
import { GATE_CASES, GATE_NAMESPACES, type GateCase } from '../support/gate-cases.ts';
import { stock } from '../support/gate-containers.ts';
import { REFUSAL_CASES, refusalPod } from '../support/gate-refusals.ts';
import { chartGateSettings } from '../support/gate-settings.ts';

const settings = await chartGateSettings();
const NAMESPACE = 'gate-plain';
const GATED = 'istio-pod-network-controller-gated';
const OFF = { [INITIALIZE]: 'false' };
const STOCK = refusalPod({ [INITIALIZE]: 'true' }, stock);
const NEW = REFUSAL_CASES.filter(({ oldSpec }) => oldSpec === undefined);
const UPDATES = REFUSAL_CASES.filter(({ oldSpec }) => oldSpec !== undefined);
const LEARNS = { timeoutMs: 60_000 };

/** Of the installed chart; back when the test is over. */
let before: ChartCarrier;

beforeAll(async () => {
  before = await installedCarrier();
  await useCarrier('policy');
  for (const [name, annotations] of Object.entries(GATE_NAMESPACES)) {
    // Without the label Istio's webhook would inject pods that carry sidecar.istio.io/inject: "true".
    await createNamespace(name, { annotations, labels: { 'istio-injection': 'disabled' } });
  }
  await policyIsActive();
});
afterAll(async () => {
  await deleteNamespaces(Object.keys(GATE_NAMESPACES));
  await useCarrier(before);
});

describe('the MutatingAdmissionPolicy and the pure function', () => {
  it.each(GATE_CASES.filter(({ running }) => !running))('make the same of: $title', async (gateCase) => {
    const byPolicy = await create(gateCase, gateCase.pod);
    // Opted out, so that the API server only adds its defaults to what the function made.
    const { pod } = gatePod(gateCase.pod, GATE_NAMESPACES[gateCase.namespace], settings);
    const byFunction = await create(gateCase, optedOut(pod));
    expect(byPolicy).toEqual(byFunction);
  });
});

describe('the "gated" ValidatingAdmissionPolicy', () => {
  // Else nothing would come out without a gate.
  beforeAll(async () => {
    await useCarrier('none');
    await waitFor('no gate is put in, and that is refused', async () => (await refusalOfNew(STOCK)) !== '', LEARNS);
  });

  it.each(NEW)('says of a new pod: $title', async ({ annotations, spec, refused }) => {
    const message = await refusalOfNew(refusalPod(annotations, spec));
    if (refused === undefined) expect(message).toBe('');
    else expect(message).toContain(refused);
    expect(message).toContain(refusalOf(refusalPod(annotations, spec), {}, settings) ?? '');
  });

  it.each(UPDATES)('says of an $title', async ({ annotations, spec, oldSpec, refused }) => {
    // A pod that opts out is created as it is; no scheduler takes it, so that it stays as it is.
    const old = { ...oldSpec, schedulerName: 'none' };
    await kubectl(['create', '-n', NAMESPACE, '-f', '-'], { input: JSON.stringify(refusalPod(OFF, old)) });
    const stored = asObject(await kubectlJson(['get', 'pod', '-n', NAMESPACE, 'refusal']));
    const input = JSON.stringify(withImages(stored, annotations, spec));
    const { code, stderr } = await tryKubectl(['replace', '--dry-run=server', '-f', '-'], { input });
    await kubectl(['delete', 'pod', '-n', NAMESPACE, 'refusal', '--grace-period=0', '--force']);
    expect({ code, stderr }).toEqual(
      refused === undefined ? { code: 0, stderr: '' } : { code: 1, stderr: expect.stringContaining(refused) },
    );
  });

  it('has no expression the API server warns about', async () => {
    const policy = await kubectlJson(['get', 'validatingadmissionpolicy', GATED]);
    expect(at(policy, 'status', 'observedGeneration')).toBe(at(policy, 'metadata', 'generation'));
    expect(at(policy, 'status', 'typeChecking', 'expressionWarnings')).toBeUndefined();
  });
});

/** What the API server says to a new pod; nothing when it takes it. */
async function refusalOfNew(pod: unknown): Promise<string> {
  const args = ['create', '-n', NAMESPACE, '--dry-run=server', '-f', '-'];
  const { code, stderr } = await tryKubectl(args, { input: JSON.stringify(pod) });
  return code === 0 ? '' : stderr;
}

/** The stored pod with these annotations and with the images of that spec's init containers: no more of it can be changed. */
function withImages(stored: JsonObject, annotations: object, spec: JsonObject): JsonObject {
  const images = new Map(asList(spec.initContainers).map((one) => [asObject(one).name, asObject(one).image]));
  const initContainers = listAt(stored, 'spec', 'initContainers').map((one) => ({
    ...asObject(one),
    image: images.get(asObject(one).name),
  }));
  const metadata = { ...asObject(stored.metadata), annotations };
  return { ...stored, metadata, spec: { ...asObject(stored.spec), initContainers } };
}

/** The API server learns of a policy through its own watch, a moment after it answered the request that made it. */
async function policyIsActive(): Promise<void> {
  const cases = [GATE_CASES[0], GATE_CASES.find(({ namespace }) => namespace === 'gate-opted-in')];
  for (const probe of cases) {
    if (probe === undefined) throw new Error('the table of cases is empty');
    const first = async () => asObject(asList((await create(probe, probe.pod)).initContainers)[0]).name;
    await waitFor('the policy acts', async () => (await first()) === settings.name, { timeoutMs: 60_000 });
  }
}

/** The spec the API server would store. */
async function create({ namespace }: GateCase, pod: unknown): Promise<JsonObject> {
  const args = ['create', '-n', namespace, '--dry-run=server', '-o', 'json', '-f', '-'];
  return asObject(asObject(JSON.parse(await kubectl(args, { input: JSON.stringify(pod) }))).spec);
}

function optedOut(pod: unknown): JsonObject {
  const root = asObject(pod);
  const metadata = asObject(root.metadata);
  const annotations = { ...asObject(metadata.annotations), [INITIALIZE]: 'false' };
  return { ...root, metadata: { ...metadata, annotations } };
}
