import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkout, lab } from '../../lab/paths.ts';
import { kubeconfigText, loginFolder, runVerb } from '../support/cluster-login.ts';
import { apply, createNamespace, deleteNamespaces, kubectl } from '../support/cluster.ts';
import { schemaProblems } from '../support/json-schema.ts';

const NAMESPACE = 'pnc-test-preflight';
const ADMIN = ['--kubeconfig', lab.kubeconfig];
const folder = loginFolder();

beforeAll(async () => {
  await createNamespace(NAMESPACE, { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } });
  await apply([{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'nobody' } }], NAMESPACE);
});
afterAll(async () => {
  folder.remove();
  await deleteNamespaces([NAMESPACE]);
});

interface Check {
  readonly id: string;
  readonly verdict: string;
  readonly finding: string;
}

async function checks(
  ...argv: readonly string[]
): Promise<{ readonly code: number; readonly byId: ReadonlyMap<string, Check> }> {
  const { code, stdout, stderr } = await runVerb(['preflight', '-o', 'json', ...argv]);
  expect(stderr).toBe('');
  const result = JSON.parse(stdout);
  expect(
    schemaProblems(JSON.parse(readFileSync(join(checkout, 'docs/schema/preflight.json'), 'utf8')), result),
  ).toEqual([]);
  return { code, byId: new Map(result.checks.map((check: Check) => [check.id, check])) };
}

describe('preflight', () => {
  it('finds nothing that stands in the way of an install in the lab', async () => {
    const { code, byId } = await checks(...ADMIN);
    expect([...byId.values()].filter(({ verdict }) => verdict === 'fail')).toEqual([]);
    expect(code).toBe(0);
    expect(byId.get('kubernetes-version')?.finding).toMatch(/^v1\.3\d/);
    expect(byId.get('node-runtime')?.finding).toMatch(/^containerd:/);
    expect(byId.get('istiod')).toMatchObject({ verdict: 'ok', finding: expect.stringContaining('revision default') });
    expect(byId.get('istio-mode')?.finding).toMatch(/injects istio-(init|validation)/);
    expect(byId.get('permissions')?.verdict).toBe('ok');
    const text = await runVerb(['preflight', ...ADMIN]);
    expect(text.stdout).toMatch(/^context lab of .*\n\nKubernetes\n {2}ok {7}kubernetes-version /);
    expect(text.stdout).not.toContain('\u001b');
    process.stdout.write(text.stdout);
  });

  it('fails where Pod Security would refuse the agent, or there is no Istio, and ends with 1', async () => {
    const refused = await checks(...ADMIN, '-n', NAMESPACE);
    expect(refused.code).toBe(1);
    expect(refused.byId.get('install-namespace')).toMatchObject({
      verdict: 'fail',
      finding: expect.stringMatching(/restricted/),
    });
    const without = await checks(...ADMIN, '--istio-namespace', NAMESPACE);
    expect(without.byId.get('istiod')).toMatchObject({ verdict: 'fail', finding: expect.stringContaining(NAMESPACE) });
  });

  it('skips what this user may not read, and says what he may not create', async () => {
    const token = (await kubectl(['create', 'token', '-n', NAMESPACE, 'nobody', '--duration=10m'])).trim();
    const { code, byId } = await checks('--kubeconfig', folder.file('nobody', kubeconfigText({ token })));
    expect(byId.get('node-kernel')).toMatchObject({ verdict: 'skipped', finding: 'no permission to list nodes' });
    expect(byId.get('istio-cni')).toMatchObject({ verdict: 'skipped', finding: 'no permission to list daemonsets' });
    expect(byId.get('kubernetes-version')?.verdict).toBe('ok');
    expect(byId.get('permissions')).toMatchObject({
      verdict: 'fail',
      finding: expect.stringMatching(/may not create namespaces/),
    });
    expect(code).toBe(1);
  });

  it('ends with 2 when the cluster cannot be asked', async () => {
    const away = folder.file('away', kubeconfigText(undefined, { server: 'https://127.0.0.1:9' }));
    expect(await runVerb(['preflight', '--kubeconfig', away])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/ECONNREFUSED.*away/),
    });
  });
});
