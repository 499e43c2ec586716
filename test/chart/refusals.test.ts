import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { chartValues } from '../../scripts/chart-values.ts';
import { read } from '../../scripts/chart-readme.ts';
import { HELM, tryTemplate } from '../support/chart.ts';

const missing = !existsSync(HELM);
const values = chartValues(read('values.yaml'));

describe.skipIf(missing)('values that do not exist or have a wrong type', () => {
  it('are refused at every level', async () => {
    const groups = [
      '',
      ...new Set(values.flatMap(({ path }) => path.slice(0, -1).map((_, end) => pointer(path, end + 1)))),
    ];
    const refused = await refusal(nested(groups.map((group) => [`${group}/noSuchValue`.slice(1).split('/'), 1])));
    for (const group of groups) {
      expect(refused).toContain(`- at '${group}': additional properties 'noSuchValue' not allowed`);
    }
  });

  it('are refused for each value', async () => {
    // No value is a list of lists.
    const refused = await refusal(nested(values.map(({ path }) => [path, [[]]])));
    const accepted = values
      .map(({ path }) => pointer(path, path.length))
      .filter((at) => !refused.includes(`- at '${at}`));
    expect(accepted).toEqual([]);
  });
});

describe.skipIf(missing)('what cannot work', () => {
  const cases: readonly (readonly [string, readonly string[], string, RegExp])[] = [
    ['a shared Namespace', [], 'kube-system', /kube-system is shared.*-n istio-pod-network-controller/],
    [
      'the policy where Kubernetes has none',
      ['--set=gate.carrier=policy', '--kube-version=1.35.0'],
      'x',
      /gate\.carrier=policy: Kubernetes v1\.35\.0 has no .*gate\.carrier=webhook.*--kube-version 1\.36\.0/,
    ],
    [
      "a gate with the sidecar's name",
      ['--set=gate.containerName=istio-proxy'],
      'x',
      /gate\.containerName=istio-proxy is the name of a container of Istio/,
    ],
    [
      "annotations over the chart's own",
      ['--set=agent.podAnnotations.prometheus\\.io/port=x'],
      'x',
      /agent\.podAnnotations sets prometheus\.io\/port.*monitoring\.annotations=false/,
    ],
    [
      'a mode that there is not',
      ['--set=gate.mode=none'],
      'x',
      /gate\/mode.*value must be one of 'container', 'runtime'/,
    ],
    [
      "Docker's pods over the socket of containerd",
      ['--set=agent.docker.enabled=true'],
      'x',
      /agent\.criSocket=\/run\/containerd\/containerd\.sock is containerd's.*set agent\.criSocket=\/var\/run\/cri-dockerd\.sock/,
    ],
    [
      'cri-dockerd without Docker',
      ['--set=agent.criSocket=/var/run/cri-dockerd.sock'],
      'x',
      /cri-dockerd does not say where network namespaces are.*set agent\.docker\.enabled=true/,
    ],
    [
      'pods without a gate on Docker',
      ['--set=agent.docker.enabled=true', '--set=agent.criSocket=/run/cri-dockerd.sock', '--set=gate.mode=runtime'],
      'x',
      /gate\.mode=runtime: Docker cannot hold pods back.*use gate\.mode=container/,
    ],
    ['a Kubernetes without admission policies', ['--kube-version=1.29.0'], 'x', /requires kubeVersion: >=1\.30\.0-0/],
    [
      "a label that is the chart's own",
      ['--set=labels.app\\.kubernetes\\.io/name=x'],
      'x',
      /invalid propertyName 'app\.kubernetes\.io\/name'/,
    ],
  ];

  it.each(cases)('is refused, with the way out: %s', async (_title, args, namespace, message) => {
    const { code, stderr } = await tryTemplate(args, { namespace });
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(message) });
  });
});

describe.skipIf(missing)('gate.carrier=auto', () => {
  const MUTATING = '--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy';
  const OPENSHIFT = '--api-versions=security.openshift.io/v1';

  it.each([
    ['nothing is known of the cluster', [], 'webhook'],
    ['the API server has the policy', [MUTATING], 'policy'],
    ['it is an older one', ['--kube-version=1.35.0'], 'webhook'],
    ['it is OpenShift', [MUTATING, OPENSHIFT], 'webhook'],
    ['it is OpenShift, but is not to be', [MUTATING, OPENSHIFT, '--set=platform=kubernetes'], 'policy'],
  ])('if %s', async (_title, args, carrier) => {
    const { stdout } = await tryTemplate(args);
    expect(stdout.includes('kind: MutatingAdmissionPolicy\n')).toBe(carrier === 'policy');
    expect(stdout.includes('kind: MutatingWebhookConfiguration\n')).toBe(carrier === 'webhook');
    expect(stdout.includes('kind: SecurityContextConstraints\n')).toBe(args.includes(OPENSHIFT) && args.length === 2);
  });
});

async function refusal(tree: unknown): Promise<string> {
  const { code, stdout, stderr } = await tryTemplate(['-f', '-'], { input: JSON.stringify(tree) });
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  return stderr;
}

function pointer(path: readonly string[], end: number): string {
  return path
    .slice(0, end)
    .map((key) => `/${key}`)
    .join('');
}

/** Values by path, as one tree. */
function nested(entries: readonly (readonly [readonly string[], unknown])[]): unknown {
  const root: Record<string, unknown> = {};
  for (const [[key = '', ...rest], value] of entries) {
    if (rest.length === 0) root[key] = value;
    else {
      const siblings = entries.filter(([path]) => path[0] === key && path.length > 1);
      root[key] ??= nested(siblings.map(([path, inner]) => [path.slice(1), inner]));
    }
  }
  return root;
}
