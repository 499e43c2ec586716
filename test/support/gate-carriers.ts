import { join } from 'node:path';
import { parseAllDocuments, parse } from 'yaml';
import { readFileSync } from 'node:fs';
import { installIstio, removeIstioRevision } from '../../lab/istio.ts';
import { cachedParts } from '../../lab/parts.ts';
import { checkout } from '../../lab/paths.ts';
import { asObject } from '../../src/admission/json.ts';
import type { GateMode } from '../../src/admission/pod-change.ts';
import { REQUIRED_PLUGINS } from '../../src/enrollment/required-plugins.ts';
import { PRODUCT, template } from './chart.ts';
import { at, GATE, INITIALIZE, kubectl, kubectlJson, listAt, textAt, tryKubectl, waitFor } from './cluster.ts';
import { stock } from './gate-containers.ts';
import { refusalPod } from './gate-refusals.ts';

const CONFIGURATION = 'zz-istio-pod-network-controller';
export const TEMPLATE_REVISION = 'gate-template';

/** What the chart can be told to put the gate in with. */
export type ChartCarrier = 'policy' | 'webhook' | 'none';

/** The carrier of the installed chart. */
export async function installedCarrier(): Promise<ChartCarrier> {
  if ((await tryKubectl(['get', 'mutatingadmissionpolicybinding', `${PRODUCT}-gate`])).code === 0) return 'policy';
  const { code } = await tryKubectl(['get', 'mutatingwebhookconfiguration', CONFIGURATION]);
  return code === 0 ? 'webhook' : 'none';
}

/**
 * Makes this the only carrier of the cluster, with the objects the chart renders for it, and lets the policies judge for the same mode; the
 * agent and everything else of the chart stay as they are. Returns when the API server goes by it.
 */
export async function useCarrier(carrier: ChartCarrier, mode: GateMode = 'container'): Promise<void> {
  const common = keysOf(await render('none', mode));
  await useJudges(mode);
  for (const other of ['policy', 'webhook'] as const) {
    const own = (await render(other, mode)).filter((object) => !common.has(keyOf(object)));
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: own });
    if (other === carrier) await kubectl(['apply', '-f', '-'], { input });
    // kubectl cannot delete, not even with --ignore-not-found, what the API server has no kind for: the policy, before Kubernetes 1.36.
    else if (other !== 'policy' || (await servesPolicies()))
      await kubectl(['delete', '--ignore-not-found', '--wait', '-f', '-'], { input });
  }
  if (carrier === 'webhook') await webhookServes();
  else await webhookGone();
  if (carrier !== 'none') await waitFor(`the ${carrier} takes istio-init out`, () => takesInitOut(mode), LEARNS);
}

const LEARNS = { timeoutMs: 60_000 };
const JUDGES = [`${PRODUCT}-gated`, `${PRODUCT}-held`];

/** The policies that say what a pod must have instead of istio-init; one of them is there only where that is no gate. */
async function useJudges(mode: GateMode): Promise<void> {
  const judges = async (of: GateMode) =>
    (await render('none', of)).filter((object) => JUDGES.includes(textAt(object, 'metadata', 'name')));
  const wanted = await judges(mode);
  const keys = keysOf(wanted);
  const items = (await judges('runtime')).filter((object) => !keys.has(keyOf(object)));
  const list = (objects: readonly unknown[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
  await kubectl(['apply', '-f', '-'], { input: list(wanted) });
  if (items.length > 0) await kubectl(['delete', '--ignore-not-found', '-f', '-'], { input: list(items) });
}

/**
 * The API server learns of policies and webhooks through its own watch, a moment after it answered the request that made them. A pod that
 * asks for itself shows it; in a Namespace that Istio does not inject, where it is not stored.
 */
async function takesInitOut(mode: GateMode): Promise<boolean> {
  const create = ['create', '-n', 'default', '--dry-run=server', '-o', 'json', '-f', '-'];
  const input = JSON.stringify(refusalPod({ [INITIALIZE]: 'true' }, stock));
  const { code, stdout } = await tryKubectl(create, { input });
  if (code !== 0) return false;
  const pod: unknown = JSON.parse(stdout);
  if (mode === 'container') return textAt(pod, 'spec', 'initContainers', 0, 'name') === GATE;
  return textAt(pod, 'metadata', 'annotations', REQUIRED_PLUGINS) !== '';
}

/** A replica that still answers its last reviews would write its entries into the configuration that comes next. */
async function webhookGone(): Promise<void> {
  const pods = ['pod', '-n', PRODUCT, '-l', `app.kubernetes.io/name=${PRODUCT}-webhook`];
  await kubectl(['wait', ...pods, '--for=delete', '--timeout=60s']);
}

async function servesPolicies(): Promise<boolean> {
  return (await tryKubectl(['get', 'mutatingadmissionpolicies'])).code === 0;
}

/** A second istiod, with the values of the example that make Istio's own injector the carrier. */
export async function installTemplateIstio(): Promise<void> {
  const extraValues: object = parse(readFileSync(join(checkout, 'examples/istio-values-gate-template.yaml'), 'utf8'));
  await installIstio(cachedParts(), 'istio-init', { revision: TEMPLATE_REVISION, extraValues });
}

export async function removeTemplateIstio(): Promise<void> {
  await removeIstioRevision(TEMPLATE_REVISION);
}

async function webhookServes(): Promise<void> {
  await kubectl(['rollout', 'status', '-n', PRODUCT, `deployment/${PRODUCT}-webhook`, '--timeout=100s']);
  await waitFor(
    'the webhook has written its entries',
    async () =>
      listAt(await kubectlJson(['get', 'mutatingwebhookconfiguration', CONFIGURATION]), 'webhooks').length > 0,
    { timeoutMs: 60_000 },
  );
}

async function render(carrier: ChartCarrier, mode: GateMode): Promise<readonly unknown[]> {
  const text = await template(['--set', `gate.carrier=${carrier}`, '--set', `gate.mode=${mode}`]);
  const objects = parseAllDocuments(text).map((document): unknown => document.toJS());
  return objects.filter((object) => at(object, 'kind') !== undefined);
}

function keysOf(objects: readonly unknown[]): ReadonlySet<string> {
  return new Set(objects.map(keyOf));
}

function keyOf(object: unknown): string {
  const metadata = asObject(at(object, 'metadata'));
  return [textAt(object, 'kind'), metadata.namespace, metadata.name].join('/');
}
