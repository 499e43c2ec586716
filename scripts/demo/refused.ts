import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { checkout } from '../../lab/paths.ts';
import { poll } from '../../lab/poll.ts';
import { claim, note, output, prompt, title } from '../presentation.ts';
import { kubectl, showKubectl, tryKubectl, tryKubectlJson } from './kubectl.ts';
import { NAMES, parsePod } from './pods.ts';

const { namespace } = NAMES;
const EXAMPLE = 'examples/bookinfo.yaml';
const DEPLOYMENT = 'details-v1';

/** The namespace with Pod Security `restricted` enforced and Istio's injection on. It may be there from an earlier run. */
export async function prepareNamespace(): Promise<void> {
  title('A namespace that allows no privilege: Pod Security `restricted`, and Istio injects');
  await untilDeleted();
  if ((await tryKubectlJson(['get', 'namespace', namespace])) === undefined) {
    await showKubectl(['create', 'namespace', namespace]);
  } else note(`Namespace ${namespace} is there from an earlier run: it is used.`);
  const enforce = 'pod-security.kubernetes.io/enforce=restricted';
  await showKubectl(['label', '--overwrite', 'namespace', namespace, enforce]);
  await showKubectl(['label', '--overwrite', 'namespace', namespace, 'istio-injection=enabled']);
  // Made by controllers a moment later; without the first no pod is admitted at all.
  await kubectl(['wait', '-n', namespace, '--for=create', '--timeout=60s', 'serviceaccount/default']);
}

/** Stock Istio puts istio-init into a pod, and Pod Security refuses it. Nothing is created: the API server is only asked. */
export async function showRefusal(): Promise<void> {
  title('Before: a stock mesh pod is refused');
  const installed =
    (await tryKubectlJson(['get', 'validatingadmissionpolicy', `${NAMES.product}-gated`])) !== undefined;
  if (installed) note('The chart is installed from an earlier run, so this pod opts out of it.');
  const { code, stdout, stderr } = await dryRun(installed ? { [NAMES.initialize]: 'false' } : {});
  output(code === 0 ? stdout : stderr);
  claim(
    'the API server refuses the pod, because of istio-init',
    code !== 0 && stderr.includes('violates PodSecurity "restricted') && stderr.includes('istio-init'),
    code === 0 ? 'it was admitted' : stderr,
  );
}

/** The same pod, asked once more; a policy takes the API server a moment until it counts. */
export async function showAdmission(): Promise<void> {
  title('After: the same pod, in the same namespace, is admitted');
  const asked = { [NAMES.initialize]: 'true' };
  await poll(async () => (await ask(asked)).code === 0, {
    what: 'the API server admits the pod',
    timeoutMs: 20_000,
  });
  const { code, stdout, stderr } = await dryRun(asked);
  if (code !== 0) claim('the API server admits the pod', false, stderr);
  const [first, ...others] = parsePod(stdout).spec.initContainers.map(({ name }) => name);
  output(`init containers: ${[first, ...others].join(', ')}`);
  claim('the gate stands in place of istio-init', first === NAMES.gate && !others.includes('istio-init'), stdout);
}

function dryRun(annotations: Readonly<Record<string, string>>) {
  const asked = Object.entries(annotations).map(([key, value]) => `, annotated ${key}=${value}`);
  prompt(`kubectl create --dry-run=server -n ${namespace} -o json -f -   # the pod of ${DEPLOYMENT}${asked.join('')}`);
  return ask(annotations);
}

function ask(annotations: Readonly<Record<string, string>>) {
  const args = ['create', '--dry-run=server', '-n', namespace, '-o', 'json', '-f', '-'];
  return tryKubectl(args, { input: JSON.stringify(examplePod(annotations)) });
}

/** The pod of one Deployment of the example, as its ReplicaSet would create it, but under the namespace's default ServiceAccount. */
function examplePod(annotations: Readonly<Record<string, string>>): object {
  const documents = parseAllDocuments(readFileSync(join(checkout, EXAMPLE), 'utf8'));
  for (const document of Array.isArray(documents) ? documents : []) {
    if (document.getIn(['kind']) !== 'Deployment' || document.getIn(['metadata', 'name']) !== DEPLOYMENT) continue;
    document.deleteIn(['spec', 'template', 'spec', 'serviceAccountName']);
    const labels = toJson(document.getIn(['spec', 'template', 'metadata', 'labels']));
    const spec = toJson(document.getIn(['spec', 'template', 'spec']));
    return { apiVersion: 'v1', kind: 'Pod', metadata: { name: DEPLOYMENT, labels, annotations }, spec };
  }
  throw new Error(`${EXAMPLE} has no Deployment ${DEPLOYMENT}`);
}

function toJson(node: unknown): unknown {
  return typeof node === 'object' && node !== null && 'toJSON' in node && typeof node.toJSON === 'function'
    ? node.toJSON()
    : node;
}

async function untilDeleted(): Promise<void> {
  const phase = await tryKubectl(['get', 'namespace', namespace, '-o', 'jsonpath={.status.phase}']);
  if (phase.stdout !== 'Terminating') return;
  note(`Namespace ${namespace} is being deleted; waiting for that to end.`);
  await kubectl(['wait', '--for=delete', `namespace/${namespace}`, '--timeout=180s']);
}
