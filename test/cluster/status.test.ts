import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkout, lab } from '../../lab/paths.ts';
import { connectProxy } from '../support/connect-proxy.ts';
import { kubeconfigText, loginFolder, runVerb, startVerb } from '../support/cluster-login.ts';
import {
  appPod,
  createPods,
  handMadeGate,
  logOf,
  standInSidecar,
  waitReady,
  waitStarted,
} from '../support/cluster-pods.ts';
import {
  apply,
  createNamespace,
  deleteNamespaces,
  GATE,
  INITIALIZE,
  kubectl,
  MESH,
  waitFor,
} from '../support/cluster.ts';
import { schemaProblems } from '../support/json-schema.ts';

const NAMESPACE = 'pnc-test-status';
const USER = `system:serviceaccount:${NAMESPACE}:reader`;
const ADMIN = ['--kubeconfig', lab.kubeconfig];
const HERE = [...ADMIN, '-n', NAMESPACE];
const INJECTED = { labels: { 'sidecar.istio.io/inject': 'true' } };
const folder = loginFolder();

beforeAll(async () => {
  // Istio injects only pods that ask: it refuses what the agent refuses, and the agent's word is wanted here.
  await createNamespace(NAMESPACE, { annotations: MESH.annotations });
  const uninjected = { labels: { 'sidecar.istio.io/inject': 'false' } };
  await apply([account(), role(), binding()], NAMESPACE);
  const wrong = { 'traffic.sidecar.istio.io/excludeOutboundPorts': '443,https', [INITIALIZE]: 'true' };
  await createPods(NAMESPACE, [
    appPod('bare', { annotations: { [INITIALIZE]: 'true' } }),
    appPod('captured', INJECTED),
    await handMade('wrong', wrong, ['--gate', 'mark']),
    await handMade('held', {}, ['--gate', 'annotation', '--file', '/nonexistent/annotations']),
    appPod('opted-out', { annotations: { [INITIALIZE]: 'false' }, ...uninjected }),
    appPod('unasked', uninjected),
  ]);
  await waitReady(NAMESPACE, ['captured', 'opted-out']);
  await waitStarted(NAMESPACE, 'held', GATE);
  await waitFor(
    'the agent refused one',
    async () => (await rows()).some(({ reason }) => reason === 'InvalidCapturePolicy'),
    { timeoutMs: 60_000 },
  );
});
afterAll(async () => {
  folder.remove();
  await deleteNamespaces([NAMESPACE]);
});

interface Row {
  readonly name: string;
  readonly state: string;
  readonly reason: string;
  readonly [key: string]: unknown;
}

async function rows(...more: readonly string[]): Promise<readonly Row[]> {
  const { code, stdout, stderr } = await runVerb(['status', ...HERE, '-o', 'json', ...more]);
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
}

describe('status', () => {
  it('shows each mesh pod with state and reason, as its schema says', async () => {
    const list = await rows();
    expect(list.map(({ name, state, reason }) => [name, state, reason])).toEqual([
      ['bare', 'ignored', 'NoSidecar'],
      ['captured', 'initialized', 'Enrolled'],
      ['held', expect.stringMatching(/^(initialized|waiting)$/), expect.any(String)],
      ['wrong', 'failed', 'InvalidCapturePolicy'],
    ]);
    expect(list[1]).toMatchObject({
      policy: 'REDIRECT,in=*,out=*',
      proxyUids: [1337],
      node: 'lab',
      report: { status: 'initialized', backend: 'nft' },
    });
    expect(list[3]).toMatchObject({ message: expect.stringContaining('443,https') });
    const schema = JSON.parse(readFileSync(join(checkout, 'docs/schema/status.json'), 'utf8'));
    expect(schemaProblems(schema, list)).toEqual([]);
    expect(schemaProblems(schema, await rows('--all'))).toEqual([]);
    process.stdout.write(`${(await runVerb(['status', ...HERE, '-o', 'wide'])).stdout}\n`);
  });

  it('shows all, one, or those of a label or node, and every format', async () => {
    expect((await rows('--all')).map(({ name, reason }) => [name, reason])).toContainEqual(['opted-out', 'OptedOut']);
    expect((await rows('-l', 'app=captured')).map(({ name }) => name)).toEqual(['captured']);
    expect((await runVerb(['status', ...HERE, '--node', 'no-such-node'])).stderr).toMatch(/No mesh pods found/);
    const named = await runVerb(['status', ...HERE, 'pod/captured', 'opted-out', '--no-headers']);
    expect(
      named.stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/ +/).slice(0, 3)),
    ).toEqual([
      ['captured', 'initialized', 'Enrolled'],
      ['opted-out', 'ignored', 'OptedOut'],
    ]);
    const names = await runVerb(['status', ...HERE, '-o', 'name', '-l', 'app=captured']);
    expect(names.stdout).toBe('pod/captured\n');
    const wide = (await runVerb(['status', ...ADMIN, '-A', '-o', 'wide'])).stdout;
    expect(wide).toMatch(
      /^NAMESPACE +NAME +STATE +REASON +POLICY +SINCE +AGE +NODE +HASH +BACKEND +UID +TOOK +SANDBOX +MESSAGE\n/,
    );
    expect(wide).toMatch(
      /pnc-test-status +captured +initialized +Enrolled +REDIRECT,in=\*,out=\* +\d+m?s? +\d+m?\d*s? +lab +[0-9a-f]{16} +nft +1337 +[\d.]+ms +[0-9a-f]{13} +<none>\n/,
    );
  });

  it('knows where there is no agent', async () => {
    const held = (await rows('--agent-namespace', 'default')).find(({ name }) => name === 'held');
    expect(held).toMatchObject({ state: expect.any(String) });
    if (held?.state === 'waiting') expect(held.reason).toBe('AgentMissing');
  });

  it('says where there is nothing, and what is not there', async () => {
    expect(await runVerb(['status', ...ADMIN, '-n', 'kube-public'])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringMatching(/No mesh pods found in namespace kube-public/),
    });
    expect(await runVerb(['status', ...HERE, 'gone'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/pod gone is not in namespace pnc-test-status/),
    });
    expect(await runVerb(['status', ...ADMIN, '-A', 'captured'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/-n NAMESPACE instead of -A/),
    });
  });
});

describe('every login: the same rows', () => {
  it('bearer token of a user who may read nothing but these pods', async () => {
    const token = (await kubectl(['create', 'token', '-n', NAMESPACE, 'reader', '--duration=10m'])).trim();
    const file = folder.file('token.kubeconfig', kubeconfigText({ token }));
    await expectRows(['--kubeconfig', file]);
    const wide = await runVerb(['status', '--kubeconfig', file, '-A']);
    expect(wide).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/ApiRefused: list pods: .*403.*reader.*context lab of/),
    });
  });

  it('login plugin', async () => {
    const token = (await kubectl(['create', 'token', '-n', NAMESPACE, 'reader', '--duration=10m'])).trim();
    const credential = JSON.stringify({
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
      status: { token },
    });
    folder.file('login', `#!/bin/sh\ncat <<'EOF'\n${credential}\nEOF\n`, 0o700);
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: './login', interactiveMode: 'Never' };
    await expectRows(['--kubeconfig', folder.file('exec.kubeconfig', kubeconfigText({ exec }))]);
  });

  it('client certificate by KUBECONFIG, through a proxy, and as somebody else', async () => {
    const proxy = await connectProxy();
    const file = folder.file('proxy.kubeconfig', kubeconfigText(undefined, { 'proxy-url': proxy.url }));
    await expectRows([], { KUBECONFIG: file });
    expect(proxy.asked.length).toBeGreaterThan(0);
    const asked = proxy.asked.length;
    await expectRows([], { KUBECONFIG: lab.kubeconfig, HTTPS_PROXY: proxy.url });
    expect(proxy.asked.length).toBeGreaterThan(asked);
    proxy.close();
    await expectRows([...ADMIN, '--as', USER]);
  });

  it('ServiceAccount of the pod it runs in, from the image', async () => {
    const gate = await handMadeGate([]);
    const containers = [{ ...gate, name: 'app', args: ['status', '-o', 'name'] }];
    const spec = { serviceAccountName: 'reader', restartPolicy: 'Never', containers };
    const labels = { 'sidecar.istio.io/inject': 'false' };
    await createPods(NAMESPACE, [appPod('inside', { annotations: { [INITIALIZE]: 'false' }, labels, spec })]);
    await kubectl(['wait', '-n', NAMESPACE, '--for=jsonpath={.status.phase}=Succeeded', '--timeout=60s', 'pod/inside']);
    expect((await logOf(NAMESPACE, 'inside', 'app')).map(({ text }) => text)).toEqual([
      'pod/bare',
      'pod/captured',
      'pod/held',
      'pod/wrong',
    ]);
  });

  it('that leads nowhere says where, and the way out', async () => {
    const context = await runVerb(['status', ...HERE, '--context', 'other']);
    expect(context).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/Usage: .*kubeconfig: has no context "other"\n {2}It has: lab\./),
    });
    const away = folder.file('away.kubeconfig', kubeconfigText(undefined, { server: 'https://127.0.0.1:9' }));
    const unreachable = await runVerb(['status', '--kubeconfig', away]);
    expect(unreachable).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /ApiUnavailable: .*ECONNREFUSED.*server https:\/\/127\.0\.0\.1:9, context lab of .*away\.kubeconfig\)\n {2}Nothing listens there/,
      ),
    });
    const untrusted = folder.file('ca.kubeconfig', kubeconfigText(undefined, { 'certificate-authority': undefined }));
    expect(await runVerb(['status', '--kubeconfig', untrusted])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/signed by a CA that/),
    });
    const stranger = folder.file('stranger.kubeconfig', kubeconfigText({ token: 'none' }));
    expect(await runVerb(['status', '--kubeconfig', stranger])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/401.*\n.*log in again/),
    });
    expect(await runVerb(['status'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no kubeconfig: .*--kubeconfig/s),
    });
  });

  async function expectRows(login: readonly string[], env: Record<string, string> = {}): Promise<void> {
    const { code, stdout, stderr } = await runVerb(['status', ...login, '-n', NAMESPACE, '-o', 'name'], env);
    expect([code, stdout, stderr]).toEqual([0, 'pod/bare\npod/captured\npod/held\npod/wrong\n', '']);
  }
});

describe('status -w', () => {
  it('prints the list, then what changes, across a cut connection, and ends with 0 at SIGINT', async () => {
    const proxy = await connectProxy();
    const file = folder.file('watch.kubeconfig', kubeconfigText(undefined, { 'proxy-url': proxy.url }));
    const watch = startVerb(['status', '--kubeconfig', file, '-n', NAMESPACE, '-w']);
    await watch.line(/^wrong +failed +InvalidCapturePolicy/);
    expect(watch.lines.map((line) => line.split(/ +/)[0])).toEqual(['NAME', 'bare', 'captured', 'held', 'wrong']);
    const before = watch.lines.length;
    await createPods(NAMESPACE, [appPod('later', INJECTED)]);
    await watch.line(/^later +initialized/, before);
    proxy.cut();
    await kubectl(['delete', 'pod', '-n', NAMESPACE, 'later', '--wait=false']);
    await watch.line(/^later +deleted/, before);
    process.stdout.write(`${[...watch.lines, ...watch.errors].join('\n')}\n`);
    expect(await watch.interrupt()).toBe(0);
    // Nothing was said twice: a cut connection is no news about pods.
    const later = watch.lines.slice(before);
    expect(later.filter((line) => !line.startsWith('later '))).toEqual([]);
    expect(new Set(later.map((line) => line.split(/ +/).slice(0, 3).join(' '))).size).toBe(later.length);
    proxy.close();
  });

  it('prints one JSON object a line', async () => {
    const watch = startVerb(['status', ...HERE, '-w', '-o', 'json']);
    await watch.line(/"name":"wrong"/);
    expect(await watch.interrupt()).toBe(0);
    expect(watch.lines.map((line) => JSON.parse(line).name)).toEqual(['bare', 'captured', 'held', 'wrong']);
  });

  it('that cannot begin ends at once', async () => {
    const away = folder.file('away2.kubeconfig', kubeconfigText(undefined, { server: 'https://127.0.0.1:9' }));
    expect(await runVerb(['status', '-w', '--kubeconfig', away])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/ECONNREFUSED/),
    });
  });
});

/** A mesh pod that Istio does not inject, with a gate of its own. */
async function handMade(
  name: string,
  annotations: Record<string, string>,
  gateArgs: readonly string[],
): Promise<object> {
  return appPod(name, {
    annotations: { [INITIALIZE]: 'true', ...annotations },
    initContainers: [await handMadeGate(gateArgs), standInSidecar()],
  });
}

function account(): object {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'reader' } };
}

function role(): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'reader' },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] }],
  };
}

function binding(): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'reader' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
    subjects: [{ kind: 'ServiceAccount', name: 'reader' }],
  };
}
