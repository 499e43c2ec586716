import { expect, it } from 'vitest';
import { parseNamespace, parsePod } from '../../src/pod/parse-pod.ts';
import { AGENT, agentPod, chartObjects, meshPod, namespaceObjects } from './objects.ts';

it("takes the agent's identity, rights and policies out of the chart, and nothing that runs or calls", () => {
  const kinds = chartObjects().map(({ body }) => body['kind']);

  expect(new Set(kinds)).toStrictEqual(
    new Set([
      'Namespace',
      'ServiceAccount',
      'ClusterRole',
      'ClusterRoleBinding',
      'ValidatingAdmissionPolicy',
      'ValidatingAdmissionPolicyBinding',
    ]),
  );
  expect(kinds.filter((kind) => kind === 'ValidatingAdmissionPolicy')).toHaveLength(4);
});

it('makes mesh pods that the agent can read: on their node, with the gate in first place', () => {
  const { path, body } = meshPod({ name: 'mesh-7-0', node: 7, namespace: 3, labels: { a: 'b' } });
  const pod = parsePod(body);

  expect(path).toBe('/api/v1/namespaces/team-003/pods');
  expect(pod.nodeName).toBe('node-00007');
  expect(pod.initContainers.map(({ name }) => name)).toStrictEqual([
    'istio-pod-network-controller-gate',
    'istio-proxy',
  ]);
  expect(pod.labels['a']).toBe('b');
});

it('gives the proxy the environment it has in a real mesh, and nobody else', () => {
  const [gate, proxy] = parsePod(meshPod({ name: 'mesh-7-0', node: 7, namespace: 3 }).body).initContainers;

  expect(proxy?.env.map(({ name }) => name)).toContain('PROXY_CONFIG');
  expect(gate?.env).toStrictEqual([]);
});

it("makes an agent's pod that runs under the agent's ServiceAccount, so that a token can be bound to it", () => {
  const { path, body } = agentPod(7);

  expect(path).toBe(`/api/v1/namespaces/${AGENT}/pods`);
  expect(body['spec']).toMatchObject({ serviceAccountName: AGENT, nodeName: 'node-00007' });
});

it('makes a Namespace together with the ServiceAccount its pods need', () => {
  const [namespace, account] = namespaceObjects(3);

  expect(parseNamespace(namespace?.body).name).toBe('team-003');
  expect(account).toStrictEqual({
    path: '/api/v1/namespaces/team-003/serviceaccounts',
    body: { metadata: { name: 'default' } },
  });
});
