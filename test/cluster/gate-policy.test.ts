import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { gatePod } from '../../src/admission/gate-pod.ts';
import { asList, asObject, type JsonObject } from '../../src/admission/json.ts';
import { GATE_CASES, GATE_NAMESPACES, type GateCase } from '../support/gate-cases.ts';
import { chartGateSettings } from '../support/gate-settings.ts';

const ROOT = join(import.meta.dirname, '../..');
const KUBECONFIG = join(ROOT, '.lab/kubeconfig');
const KUBECTL = join(ROOT, '.lab/bin/kubectl');
const HELM = join(ROOT, '.lab/bin/helm');
const POLICY_ACTIVE_MS_MAX = 60_000;
const settings = await chartGateSettings();

beforeAll(async () => {
  const templates = ['mutatingadmissionpolicy', 'mutatingadmissionpolicybinding'];
  const only = templates.flatMap((name) => ['--show-only', `templates/${name}.yaml`]);
  const chart = join(ROOT, 'chart/istio-pod-network-controller');
  await kubectl(
    ['apply', '-f', '-'],
    await run(HELM, ['template', '-n', 'istio-pod-network-controller', chart, ...only]),
  );
  for (const [name, annotations] of Object.entries(GATE_NAMESPACES)) {
    // Without the label Istio's webhook would inject pods that carry sidecar.istio.io/inject: "true".
    const labels = { 'istio-injection': 'disabled' };
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations, labels } };
    await kubectl(['apply', '-f', '-'], JSON.stringify(namespace));
    await kubectl(['wait', '-n', name, '--for=create', '--timeout=60s', 'serviceaccount/default']);
  }
  await policyIsActive();
});

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
  const deadline = Date.now() + POLICY_ACTIVE_MS_MAX;
  for (const probe of cases) {
    if (probe === undefined) throw new Error('the table of cases is empty');
    while (asObject(asList((await create(probe, probe.pod)).initContainers)[0]).name !== settings.name) {
      if (Date.now() > deadline) throw new Error(`the policy did nothing in ${POLICY_ACTIVE_MS_MAX} ms`);
      await delay(200);
    }
  }
}

/** The spec the API server would store. */
async function create({ namespace }: GateCase, pod: unknown): Promise<JsonObject> {
  const args = ['create', '-n', namespace, '--dry-run=server', '-o', 'json', '-f', '-'];
  return asObject(asObject(JSON.parse(await kubectl(args, JSON.stringify(pod)))).spec);
}

function optedOut(pod: unknown): JsonObject {
  const root = asObject(pod);
  const metadata = asObject(root.metadata);
  const annotations = { ...asObject(metadata.annotations), 'istio-pod-network-controller/initialize': 'false' };
  return { ...root, metadata: { ...metadata, annotations } };
}

async function kubectl(args: readonly string[], input = ''): Promise<string> {
  return await run(KUBECTL, ['--kubeconfig', KUBECONFIG, ...args], input);
}

async function run(program: string, args: readonly string[], input = ''): Promise<string> {
  return await new Promise((resolve, reject) => {
    const child = execFile(program, args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${program} ${args.join(' ')}: ${stderr}`, { cause: error }));
    });
    child.stdin?.end(input);
  });
}
