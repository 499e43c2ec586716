import { join } from 'node:path';
import { parseAllDocuments, parse } from 'yaml';
import { readFileSync } from 'node:fs';
import { installIstio, removeIstioRevision } from '../../lab/istio.ts';
import { cachedParts } from '../../lab/parts.ts';
import { checkout } from '../../lab/paths.ts';
import { asObject } from '../../src/admission/json.ts';
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
 * Makes this the only carrier of the cluster, with the objects the chart renders for it; the agent and everything else of the chart stay
 * as they are. Returns when the API server goes by it.
 */
export async function useCarrier(carrier: ChartCarrier): Promise<void> {
  const common = keysOf(await render('none'));
  for (const other of ['policy', 'webhook'] as const) {
    const own = (await render(other)).filter((object) => !common.has(keyOf(object)));
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: own });
    if (other === carrier) await kubectl(['apply', '-f', '-'], { input });
    // kubectl cannot delete, not even with --ignore-not-found, what the API server has no kind for: the policy, before Kubernetes 1.36.
    else if (other !== 'policy' || (await servesPolicies()))
      await kubectl(['delete', '--ignore-not-found', '--wait', '-f', '-'], { input });
  }
  if (carrier === 'webhook') await webhookServes();
  else await webhookGone();
  if (carrier !== 'none') await waitFor(`the ${carrier} puts gates in`, putsGatesIn, { timeoutMs: 60_000 });
}

/**
 * The API server learns of policies and webhooks through its own watch, a moment after it answered the request that made them. A pod that
 * asks for itself shows it; in a Namespace that Istio does not inject, where it is not stored.
 */
async function putsGatesIn(): Promise<boolean> {
  const create = ['create', '-n', 'default', '--dry-run=server', '-o', 'json', '-f', '-'];
  const input = JSON.stringify(refusalPod({ [INITIALIZE]: 'true' }, stock));
  const { code, stdout } = await tryKubectl(create, { input });
  return code === 0 && textAt(JSON.parse(stdout), 'spec', 'initContainers', 0, 'name') === GATE;
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

async function render(carrier: ChartCarrier): Promise<readonly unknown[]> {
  const text = await template(['--set', `gate.carrier=${carrier}`]);
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
