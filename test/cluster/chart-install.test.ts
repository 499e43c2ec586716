import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ensureHelm3 } from '../../lab/helm3.ts';
import { CHART, CHART_CASES, HELM, PRODUCT, template, tryHelm } from '../support/chart.ts';
import { inventory, installAgain, newSince, removeProduct, rolledOut } from '../support/cluster-install.ts';
import { apply, kubectl, kubectlJson, listAt, textAt, at } from '../support/cluster.ts';

/** Every way to install the chart, each from a cluster that has nothing of it. */
const helm = { 'Helm 4': HELM, 'Helm 3': '' };
let before: ReadonlySet<string>;

beforeAll(async () => {
  helm['Helm 3'] = await ensureHelm3();
});
beforeEach(async () => {
  await removeProduct();
  before = await inventory();
});
afterAll(async () => {
  await removeProduct();
  await installAgain();
});

describe.each(['Helm 4', 'Helm 3'] as const)('%s', (version) => {
  it.each(CHART_CASES)('renders the same with values: $name', async ({ args }) => {
    expect(await template(args, { helm: helm[version] })).toBe(await template(args));
  });

  it('installs, upgrades, and uninstalls all but the Namespace it was told to create', async () => {
    const release = ['-n', PRODUCT, PRODUCT];
    await run(version, ['install', '--create-namespace', ...release, CHART]);
    await rolledOut();
    await run(version, ['upgrade', ...release, CHART, '--set=agent.logLevel=debug']);
    await rolledOut();
    const upgraded = await daemonSet();
    expect(listAt(upgraded, 'spec', 'template', 'spec', 'containers', 0, 'args')).toContain('--log-level=debug');
    await run(version, ['upgrade', ...release, CHART, '--set=agent.logLevel=debug']);
    expect(at(await daemonSet(), 'metadata', 'generation')).toBe(at(upgraded, 'metadata', 'generation'));
    await run(version, ['upgrade', ...release, CHART, '--set=gate.carrier=webhook']);
    await rolledOut();
    const written = await webhooks();
    expect(written).not.toBe('');
    await run(version, ['upgrade', ...release, CHART, '--set=gate.carrier=webhook,labels.team=mesh']);
    await rolledOut();
    expect(await webhooks()).toBe(written);
    await run(version, ['uninstall', ...release, '--wait']);
    // Helm waits for what it owns, not for the pods that end with it.
    await kubectl(['wait', '--for=delete', 'pod', '--all', '-n', PRODUCT, '--timeout=60s']);
    const ofEveryNamespace = new RegExp(
      `^(Namespace//${PRODUCT}|(ServiceAccount|ConfigMap)/${PRODUCT}/(default|.*-ca.*))$`,
    );
    expect((await newSince(before)).filter((object) => !ofEveryNamespace.test(object))).toEqual([]);
    await kubectl(['delete', 'namespace', PRODUCT, '--timeout=110s']);
    expect(await newSince(before)).toEqual([]);
  });

  it('takes over what `kubectl apply` installed, and keeps the agents running', async () => {
    await installAgain();
    const { uid } = await agentPod();
    await run(version, ['install', '--take-ownership', '-n', PRODUCT, PRODUCT, CHART]);
    await rolledOut();
    expect(await agentPod()).toEqual({ uid });
    await run(version, ['uninstall', '-n', PRODUCT, PRODUCT, '--wait']);
  });

  it('refuses a Namespace whose Pod Security forbids the agent, before it creates anything', async () => {
    const labels = { 'pod-security.kubernetes.io/enforce': 'baseline' };
    await apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: PRODUCT, labels } }]);
    const { code, stderr } = await tryHelm(helm[version], ['install', '-n', PRODUCT, PRODUCT, CHART]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /enforces Pod Security baseline.*kubectl label namespace istio-pod-network-controller --overwrite/,
    );
    expect((await newSince(before)).filter((object) => /ClusterRole|DaemonSet|Secret/.test(object))).toEqual([]);
  });

  it.each([
    ['--set=platform=openshift', /this cluster does not serve security\.openshift\.io\/v1/],
    ['--set=monitoring.podMonitor.enabled=true', /this cluster does not serve monitoring\.coreos\.com\/v1/],
  ])('refuses what this cluster does not have: %s', async (value, message) => {
    const install = ['install', '--create-namespace', '-n', PRODUCT, PRODUCT, CHART, value];
    const { code, stderr } = await tryHelm(helm[version], install);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(message) });
    expect(await newSince(before)).toEqual([]);
  });
});

describe('helm template | kubectl apply', () => {
  it.each(['policy', 'webhook'])('can be repeated, and deleted without a trace: %s', async (carrier) => {
    const manifests = await template([`--set=gate.carrier=${carrier}`]);
    const first = await kubectl(['apply', '-f', '-'], { input: manifests });
    expect(outcomes(first)).toEqual(new Set(['created']));
    await rolledOut();
    const applied = await generations(manifests);
    const second = await kubectl(['apply', '-f', '-'], { input: manifests });
    expect(outcomes(second.replaceAll(ALWAYS_CONFIGURED, ''))).toEqual(new Set(['unchanged']));
    expect(await generations(manifests)).toBe(applied);
    await kubectl(['delete', '-f', '-', '--timeout=110s'], { input: manifests });
    expect(await newSince(before)).toEqual([]);
  });
});

async function run(version: keyof typeof helm, args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await tryHelm(helm[version], args);
  expect({ code, output: stdout + stderr }, args.join(' ')).toEqual({ code: 0, output: expect.any(String) });
}

/** kubectl sends a PodDisruptionBudget's selector each time, and calls that a change; the API server sees none. */
const ALWAYS_CONFIGURED = /^poddisruptionbudget\..* configured\n/gm;

async function generations(manifests: string): Promise<string> {
  const line = '{.kind}/{.metadata.name} {.metadata.generation}{"\\n"}';
  return kubectl(['get', '-f', '-', '-o', `jsonpath={range .items[*]}${line}{end}`], { input: manifests });
}

/** The last words of kubectl's lines: created, configured, unchanged. */
function outcomes(output: string): ReadonlySet<string> {
  return new Set(
    output
      .trim()
      .split('\n')
      .map((line) => line.split(' ').at(-1) ?? ''),
  );
}

/** What the webhook's server wrote where the chart leaves room for it. */
function webhooks(): Promise<string> {
  return kubectl(['get', 'mutatingwebhookconfiguration', `zz-${PRODUCT}`, '-o', 'jsonpath={.webhooks}']);
}

function daemonSet(): Promise<unknown> {
  return kubectlJson(['get', 'daemonset', '-n', PRODUCT, PRODUCT]);
}

async function agentPod(): Promise<{ readonly uid: string }> {
  const pods = await kubectlJson(['get', 'pods', '-n', PRODUCT, '-l', `app.kubernetes.io/name=${PRODUCT}`]);
  return { uid: textAt(listAt(pods, 'items')[0], 'metadata', 'uid') };
}
