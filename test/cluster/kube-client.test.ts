import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { network, ports } from '../../lab/paths.ts';
import { createKubeClient } from '../../src/kube/kube-client.ts';
import { appPod, AGENT_NAMESPACE, createPods, getPod, waitReady } from '../support/cluster-pods.ts';
import {
  apply,
  at,
  createNamespace,
  deleteNamespaces,
  kubectl,
  kubectlJson,
  listAt,
  textAt,
  tryKubectl,
  waitFor,
} from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-kube-client';
/** The agent's role under another name: what its policies allow is a test of its own, and this one writes an annotation that is not its. */
const ACCOUNT = 'pnc-test-kube-client';
/** Also the name of the agent's own ServiceAccount. */
const ROLE = 'istio-pod-network-controller';
const KEY = 'pod-network-controller.istio.io/contract';
const stop = new AbortController();
let client: ReturnType<typeof createKubeClient>;
let uid = '';

beforeAll(async () => {
  await createNamespace(NAMESPACE);
  await createPods(NAMESPACE, [appPod('subject')]);
  await waitReady(NAMESPACE, ['subject']);
  uid = textAt(await getPod(NAMESPACE, 'subject'), 'metadata', 'uid');
  await apply([account(), binding()], NAMESPACE);
  client = await clientOfAccount();
});
afterAll(async () => {
  stop.abort();
  client.close();
  await kubectl(['delete', 'clusterrolebinding', ACCOUNT, '--ignore-not-found']);
  await deleteNamespaces([NAMESPACE]);
});

describe("our client, with the agent's role, against a real API server", () => {
  it('lists and follows the pods of one node', async () => {
    const seen = new Map<string, string>();
    let synced = 0;
    const running = client.listWatch(
      {
        path: '/api/v1/pods',
        resource: 'pods',
        fieldSelector: `spec.nodeName=${network.nodeName}`,
        project: (pod) => textAt(pod, 'metadata', 'annotations', KEY),
        handlers: {
          onChange: (key, change) => {
            if (change.type === 'set') seen.set(key, change.value);
            else seen.delete(key);
          },
          onSynced: () => {
            synced += 1;
          },
          onUnusable: (key, error) => expect.unreachable(`${key}: ${String(error)}`),
          onTrouble: (error) => expect.unreachable(String(error)),
        },
      },
      stop.signal,
    );
    await waitFor('the list', async () => synced === 1, { timeoutMs: 10_000 });
    expect(seen.get(`${NAMESPACE}/subject`)).toBe('');
    await kubectl(['annotate', 'pod', '-n', NAMESPACE, 'subject', `${KEY}=one`]);
    await waitFor('the change', async () => seen.get(`${NAMESPACE}/subject`) === 'one', { timeoutMs: 10_000 });
    await createPods(NAMESPACE, [appPod('passing')]);
    await waitFor('the new pod', async () => seen.has(`${NAMESPACE}/passing`), { timeoutMs: 10_000 });
    await kubectl(['delete', 'pod', '-n', NAMESPACE, 'passing', '--grace-period=0', '--force']);
    await waitFor('its end', async () => !seen.has(`${NAMESPACE}/passing`), { timeoutMs: 30_000 });
    expect(synced).toBe(1);
    stop.abort();
    await running;
  });

  it('writes and removes annotations, and nothing of the rest', async () => {
    const before = await getPod(NAMESPACE, 'subject');
    expect(await patch('subject', uid, { [`${KEY}-written`]: 'two' })).toBe('patched');
    const after = await kubectlJson(['get', 'pod', '-n', NAMESPACE, 'subject', '--show-managed-fields']);
    expect(textAt(after, 'metadata', 'annotations', `${KEY}-written`)).toBe('two');
    expect(at(after, 'spec')).toEqual(at(before, 'spec'));
    // kubelet may write the status in the same moment; what was ours the API server keeps apart.
    const managers = listAt(after, 'metadata', 'managedFields');
    const ours = managers.filter((entry) => textAt(entry, 'manager') === 'istio-pod-network-controller');
    expect(ours.map((entry) => at(entry, 'fieldsV1'))).toEqual([
      { 'f:metadata': { 'f:annotations': { [`f:${KEY}-written`]: {} } } },
    ]);
    expect(ours.map((entry) => at(entry, 'subresource'))).toEqual(['status']);
    expect(await patch('subject', uid, { [`${KEY}-written`]: null })).toBe('patched');
    expect(at(await getPod(NAMESPACE, 'subject'), 'metadata', 'annotations', `${KEY}-written`)).toBeUndefined();
  });

  it('touches no other pod of the same name, and none that is gone', async () => {
    const annotations = { [`${KEY}-stray`]: 'three' };
    expect(await patch('subject', '00000000-0000-4000-8000-000000000000', annotations)).toBe('gone');
    expect(at(await getPod(NAMESPACE, 'subject'), 'metadata', 'annotations', `${KEY}-stray`)).toBeUndefined();
    expect(await patch('nobody', uid, annotations)).toBe('gone');
  });

  it('writes an Event once, however often it is said', async () => {
    const event = {
      namespace: NAMESPACE,
      podName: 'subject',
      podUid: uid,
      type: 'Normal',
      reason: 'Contract',
    } as const;
    for (const note of ['first', 'first', 'x'.repeat(2_000)])
      await client.createEvent({ ...event, action: 'Test', note });
    const events = listAt(await kubectlJson(['get', 'events.v1.events.k8s.io', '-n', NAMESPACE]), 'items');
    const ours = events.filter((each) => textAt(each, 'reason') === 'Contract');
    expect(ours.map((each) => Buffer.byteLength(textAt(each, 'note'))).toSorted((a, b) => a - b)).toEqual([5, 1_024]);
    expect(ours.map((each) => textAt(each, 'regarding', 'uid'))).toEqual([uid, uid]);
  });
});

describe("the agent's ServiceAccount", () => {
  it.each([
    ['update', 'pods'],
    ['patch', 'pods'],
    ['delete', 'pods'],
    ['create', 'pods'],
    ['create', 'pods/exec'],
    ['update', 'pods/status'],
    ['get', 'secrets'],
    ['list', 'secrets'],
    ['get', 'configmaps'],
    ['patch', 'namespaces'],
    ['get', 'nodes'],
  ])('may not %s %s', async (verb, resource) => {
    expect((await canI(verb, resource)).trim()).toBe('no');
  });

  it.each([
    ['watch', 'pods'],
    ['watch', 'namespaces'],
    ['patch', 'pods/status'],
    ['create', 'events.events.k8s.io'],
  ])('may %s %s', async (verb, resource) => {
    expect((await canI(verb, resource)).trim()).toBe('yes');
  });
});

async function canI(verb: string, resource: string): Promise<string> {
  const [kind = '', subresource] = resource.split('/');
  const sub = subresource === undefined ? [] : [`--subresource=${subresource}`];
  const as = `--as=system:serviceaccount:${AGENT_NAMESPACE}:${ROLE}`;
  return (await tryKubectl(['auth', 'can-i', verb, kind, ...sub, '-n', NAMESPACE, as])).stdout;
}

function patch(name: string, podUid: string, annotations: Readonly<Record<string, string | null>>): Promise<string> {
  return client.patchAnnotations({
    path: `/api/v1/namespaces/${NAMESPACE}/pods/${name}/status`,
    uid: podUid,
    annotations,
  });
}

function account(): object {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: ACCOUNT } };
}

function binding(): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: ACCOUNT },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: ROLE },
    subjects: [{ kind: 'ServiceAccount', name: ACCOUNT, namespace: NAMESPACE }],
  };
}

async function clientOfAccount(): Promise<ReturnType<typeof createKubeClient>> {
  const token = (await kubectl(['create', 'token', '-n', NAMESPACE, ACCOUNT])).trim();
  const ca = textAt(await kubectlJson(['get', 'configmap', '-n', NAMESPACE, 'kube-root-ca.crt']), 'data', 'ca.crt');
  return createKubeClient({
    baseUrl: new URL(`https://${network.nodeIpv4}:${ports.apiserver}`),
    credentials: { current: () => ({ token, ca }), refresh: () => undefined },
    observe: () => undefined,
    clock: {
      nowMs: () => performance.now(),
      wallClock: () => new Date(),
      random: Math.random,
      sleep: async () => undefined,
    },
    nodeName: network.nodeName,
  });
}
