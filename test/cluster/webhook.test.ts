import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { restartProcess, startProcess } from '../../lab/restart.ts';
import { appPod, AGENT_NAMESPACE, createPods, getPod, waitReady } from '../support/cluster-pods.ts';
import {
  createNamespace,
  deleteNamespaces,
  GATE,
  INITIALIZE,
  kubectl,
  kubectlJson,
  listAt,
  MESH,
  textAt,
  tryKubectl,
  waitFor,
} from '../support/cluster.ts';
import { type ChartCarrier, installedCarrier, useCarrier } from '../support/gate-carriers.ts';

const NAME = 'istio-pod-network-controller-webhook';
const CONFIGURATION = 'zz-istio-pod-network-controller';
const SELECTOR = `app.kubernetes.io/name=${NAME}`;
/** Opted in as a whole. */
const ASKS = 'pnc-test-webhook-asks';
/** Istio injects, and nobody asks. */
const SILENT = 'pnc-test-webhook-silent';
const INJECTED = { labels: { 'istio-injection': 'enabled' } };
const GATED = `${GATE}, istio-proxy`;
const LIFETIME_SECONDS = 15;

let before: ChartCarrier;

beforeAll(async () => {
  before = await installedCarrier();
  await useCarrier('webhook');
  await createNamespace(ASKS, MESH);
  await createNamespace(SILENT, INJECTED);
  await waitFor('the webhook knows the Namespace', async () => (await matched()).includes(ASKS), { timeoutMs: 30_000 });
});
afterAll(async () => {
  await startProcess('kube-apiserver');
  await deleteNamespaces([ASKS, SILENT]);
  await useCarrier(before);
});

describe('the webhook with a stock Istio, which injects istio-init', () => {
  it('gates pods of an opted-in Namespace, and they run under Pod Security restricted', async () => {
    await createPods(ASKS, [appPod('one'), appPod('two', { annotations: { [INITIALIZE]: 'true' } })]);
    await waitReady(ASKS, ['one', 'two']);
    for (const name of ['one', 'two']) expect(initsOf(await getPod(ASKS, name))).toBe(GATED);
  });

  it('gates a pod that asks for itself, and no other', async () => {
    expect(await wouldBe(SILENT, { [INITIALIZE]: 'true' })).toBe(GATED);
    expect(await wouldBe(SILENT)).toBe('istio-init, istio-proxy');
  });

  it('is matched neither by a Namespace that did not ask nor by its own', async () => {
    for (const namespace of [SILENT, AGENT_NAMESPACE]) expect(await matched()).not.toContain(namespace);
    const pods = await kubectlJson(['get', 'pods', '-n', AGENT_NAMESPACE, '-l', SELECTOR]);
    expect(listAt(pods, 'items').map(initsOf)).toEqual(['', '']);
  });

  it('runs under Pod Security restricted itself', async () => {
    const [pod] = listAt(await kubectlJson(['get', 'pods', '-n', AGENT_NAMESPACE, '-l', SELECTOR]), 'items');
    const copy = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'copy' }, spec: Object(pod).spec };
    const spec = { ...copy.spec, serviceAccountName: 'default', serviceAccount: 'default', nodeName: undefined };
    const dryRun = ['create', '-n', ASKS, '--dry-run=server', '-f', '-'];
    const annotated = { ...copy, metadata: { name: 'copy', labels: { 'sidecar.istio.io/inject': 'false' } }, spec };
    expect(await tryKubectl(dryRun, { input: JSON.stringify(annotated) })).toMatchObject({ code: 0 });
  });
});

describe('its configuration', () => {
  it('is repaired when somebody changes it or takes its webhooks out', async () => {
    const good = textOf(await configuration());
    for (const patch of [
      [{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }],
      [{ op: 'add', path: '/webhooks/1/matchConditions/-', value: { name: 'never', expression: 'false' } }],
      [{ op: 'remove', path: '/webhooks' }],
    ]) {
      await kubectl([
        'patch',
        'mutatingwebhookconfiguration',
        CONFIGURATION,
        '--type=json',
        '-p',
        JSON.stringify(patch),
      ]);
      await waitFor('the repair', async () => textOf(await configuration()) === good, { timeoutMs: 30_000 });
    }
  });

  it('keeps its webhooks when the chart is applied again', async () => {
    const good = textOf(await configuration());
    await useCarrier('webhook');
    expect(textOf(await configuration())).toBe(good);
  });

  it('follows Namespaces that opt in and out', async () => {
    await kubectl(['annotate', 'namespace', SILENT, `${INITIALIZE}=true`]);
    await waitFor('it is matched', async () => (await matched()).includes(SILENT), { timeoutMs: 10_000 });
    expect(await wouldBe(SILENT)).toBe(GATED);
    await kubectl(['annotate', 'namespace', SILENT, `${INITIALIZE}-`]);
    await waitFor('it is not', async () => !(await matched()).includes(SILENT), { timeoutMs: 10_000 });
    expect(await matched()).toContain(ASKS);
  });
});

describe('its certificate', () => {
  it('is made anew, CA included, when the Secret is deleted, and no pod notices', async () => {
    const creating = keepCreating();
    const old = await secretNow();
    await kubectl(['delete', 'secret', '-n', AGENT_NAMESPACE, NAME]);
    await waitFor('both CAs are in the bundle', async () => (await authorities()).length >= 2, { timeoutMs: 30_000 });
    expect(await authorities()).toEqual(expect.arrayContaining([subjectOf(old), subjectOf(await secretNow())]));
    // Until after the new certificate is served.
    await waitFor('the new one is served by both', async () => (await servedBy('certificate served')) >= 4, {
      timeoutMs: 30_000,
    });
    expect(await creating.outcomes()).toEqual([GATED]);
  });

  it('renews itself again and again when it lives for seconds, and no pod notices', async () => {
    await setLifetime(String(LIFETIME_SECONDS));
    await kubectl(['delete', 'secret', '-n', AGENT_NAMESPACE, NAME]);
    const seen = new Set<string>();
    const creating = keepCreating();
    await waitFor(
      'three certificates',
      async () => {
        seen.add(subjectOf(await secretNow()));
        return seen.size >= 3;
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );
    expect(await creating.outcomes()).toEqual([GATED]);
  });

  it('is replaced when it has expired while no webhook ran', async () => {
    await scale(0);
    const expired = await secretNow();
    const end = Date.parse(new X509Certificate(expired).validTo);
    await waitFor('the certificate expires', async () => Date.now() > end + 1_000, { timeoutMs: 30_000 });
    await scale(2);
    await waitFor('opted-in pods come again', async () => (await wouldBe(ASKS)) === GATED, { timeoutMs: 30_000 });
    expect(subjectOf(await secretNow())).not.toBe(subjectOf(expired));
    await setLifetime('7776000');
    expect(await wouldBe(ASKS)).toBe(GATED);
  });
});

describe('when no webhook runs', () => {
  it('opted-in pods are refused with a message that names it, and all others start', async () => {
    await scale(0);
    const refused = await tryKubectl(['create', '-n', ASKS, '-f', '-'], { input: JSON.stringify(appPod('refused')) });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('failed calling webhook "namespaces.gate.pod-network-controller.istio.io"');
    process.stdout.write(`refused with: ${refused.stderr.trim()}\n`);
    expect(await wouldBe(SILENT)).toBe('istio-init, istio-proxy');
    await createPods(ASKS, [appPod('out', { labels: { 'sidecar.istio.io/inject': 'false' } })]);
    await createPods(SILENT, [appPod('plain', { labels: { 'sidecar.istio.io/inject': 'false' } })]);
    await waitReady(ASKS, ['out']);
    await waitReady(SILENT, ['plain']);
    await scale(2);
    await waitFor('opted-in pods come again', async () => (await wouldBe(ASKS)) === GATED, { timeoutMs: 30_000 });
  });

  it('an API server that is restarted changes nothing', async () => {
    await restartProcess('kube-apiserver');
    expect(await wouldBe(ASKS)).toBe(GATED);
    await kubectl(['annotate', 'namespace', SILENT, `${INITIALIZE}=true`]);
    await waitFor('the watch is back', async () => (await matched()).includes(SILENT), { timeoutMs: 60_000 });
    await kubectl(['annotate', 'namespace', SILENT, `${INITIALIZE}-`]);
  });
});

/** Init containers of the pod the API server would store; throws with its words if it refuses. */
async function wouldBe(namespace: string, annotations: Readonly<Record<string, string>> = {}): Promise<string> {
  const dryRun = ['create', '-n', namespace, '--dry-run=server', '-o', 'json', '-f', '-'];
  return initsOf(JSON.parse(await kubectl(dryRun, { input: JSON.stringify(appPod('dry', { annotations })) })));
}

function initsOf(pod: unknown): string {
  return listAt(pod, 'spec', 'initContainers')
    .map((container) => textAt(container, 'name'))
    .join(', ');
}

/** Creates pods as fast as it can, two at a time; `outcomes` ends it and gives what came out, each once. */
function keepCreating(): { outcomes(): Promise<readonly string[]> } {
  const seen = new Map<string, number>();
  const enough = new AbortController();
  const create = async () => {
    while (!enough.signal.aborted) {
      const outcome = await wouldBe(ASKS).catch(String);
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
  };
  const running = [create(), create()];
  return {
    outcomes: async () => {
      enough.abort();
      await Promise.all(running);
      process.stdout.write(`created meanwhile: ${JSON.stringify([...seen])}\n`);
      return [...seen.keys()];
    },
  };
}

function configuration(): Promise<unknown> {
  return kubectlJson(['get', 'mutatingwebhookconfiguration', CONFIGURATION]);
}

function textOf(object: unknown): string {
  return JSON.stringify(listAt(object, 'webhooks'));
}

async function matched(): Promise<readonly unknown[]> {
  const entry = listAt(await configuration(), 'webhooks').find((one) => textAt(one, 'name').startsWith('namespaces.'));
  return listAt(entry, 'namespaceSelector', 'matchExpressions', 0, 'values');
}

/** Subjects of the CAs in the bundle. */
async function authorities(): Promise<readonly string[]> {
  const [entry] = listAt(await configuration(), 'webhooks');
  const bundle = Buffer.from(textAt(entry, 'clientConfig', 'caBundle'), 'base64').toString();
  const pems = bundle.match(/-----BEGIN [^]*?-----END CERTIFICATE-----/g) ?? [];
  return pems.map((pem) => new X509Certificate(pem).subject);
}

/** The certificate in the Secret, PEM. */
async function secretNow(): Promise<string> {
  const secret = await kubectlJson(['get', 'secret', '-n', AGENT_NAMESPACE, NAME]);
  return Buffer.from(textAt(secret, 'data', 'tls.crt'), 'base64').toString();
}

/** The CA that has issued a certificate: each has a name of its own. */
function subjectOf(certificate: string): string {
  return new X509Certificate(certificate).issuer;
}

/** How many lines of all replicas hold that message. */
async function servedBy(message: string): Promise<number> {
  const logs = await kubectl(['logs', '-n', AGENT_NAMESPACE, '-l', SELECTOR, '--tail=-1']);
  return logs.split('\n').filter((line) => line.includes(message)).length;
}

async function setLifetime(seconds: string): Promise<void> {
  const deployment = await kubectlJson(['get', 'deployment', '-n', AGENT_NAMESPACE, NAME]);
  const args = listAt(deployment, 'spec', 'template', 'spec', 'containers', 0, 'args').map(String);
  const index = args.findIndex((arg) => arg.startsWith('--certificate-lifetime='));
  const path = `/spec/template/spec/containers/0/args/${index}`;
  const patch = [{ op: 'replace', path, value: `--certificate-lifetime=${seconds}` }];
  await kubectl(['patch', 'deployment', '-n', AGENT_NAMESPACE, NAME, '--type=json', '-p', JSON.stringify(patch)]);
  await rolledOut();
}

async function scale(replicas: number): Promise<void> {
  await kubectl(['scale', 'deployment', '-n', AGENT_NAMESPACE, NAME, `--replicas=${replicas}`]);
  if (replicas > 0) return rolledOut();
  await kubectl(['wait', '-n', AGENT_NAMESPACE, '--for=delete', '--timeout=60s', 'pod', '-l', SELECTOR]);
}

async function rolledOut(): Promise<void> {
  await kubectl(['rollout', 'status', '-n', AGENT_NAMESPACE, `deployment/${NAME}`, '--timeout=100s']);
}
