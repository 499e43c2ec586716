import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command } from '../../lab/command.ts';
import { lab } from '../../lab/paths.ts';
import { gatePod } from '../../src/admission/gate-pod.ts';
import { asList, asObject, type JsonObject } from '../../src/admission/json.ts';
import { createNamespace, deleteNamespaces, INITIALIZE, kubectl, waitFor } from '../support/cluster.ts';
import { GATE_CASES, GATE_NAMESPACES, type GateCase } from '../support/gate-cases.ts';
import { chartGateSettings } from '../support/gate-settings.ts';

const ROOT = join(import.meta.dirname, '../..');
const settings = await chartGateSettings();

beforeAll(async () => {
  const templates = ['mutatingadmissionpolicy', 'mutatingadmissionpolicybinding'];
  const only = templates.flatMap((name) => ['--show-only', `templates/${name}.yaml`]);
  const chart = join(ROOT, 'chart/istio-pod-network-controller');
  const template = [join(lab.bin, 'helm'), 'template', '-n', 'istio-pod-network-controller', chart, ...only];
  await kubectl(['apply', '-f', '-'], { input: await command(template) });
  for (const [name, annotations] of Object.entries(GATE_NAMESPACES)) {
    // Without the label Istio's webhook would inject pods that carry sidecar.istio.io/inject: "true".
    await createNamespace(name, { annotations, labels: { 'istio-injection': 'disabled' } });
  }
  await policyIsActive();
});
afterAll(() => deleteNamespaces(Object.keys(GATE_NAMESPACES)));

describe('the MutatingAdmissionPolicy and the pure function', () => {
  it.each(GATE_CASES)('make the same of: $title', async (gateCase) => {
    const byPolicy = await create(gateCase, gateCase.pod);
    // Opted out, so that the API server only adds its defaults to what the function made.
    const { pod } = gatePod(gateCase.pod, GATE_NAMESPACES[gateCase.namespace], settings);
    const byFunction = await create(gateCase, optedOut(pod));
    expect(byPolicy).toEqual(byFunction);
  });
});

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
