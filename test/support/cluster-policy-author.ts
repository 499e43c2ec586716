import { type Attack, patch, row } from './cluster-policy-attack.ts';
import { ATTACKED, BY_HAND, handMade, podPath } from './cluster-policy-stage.ts';
import { appPod, POD_SECURITY, standInSidecar } from './cluster-pods.ts';
import type { Ask } from './cluster-tokens.ts';
import { GATE } from './cluster.ts';

const IDENTITY = '…-proxy-identity';
const GATED = '…-gated';
const pods = `/api/v1/namespaces/${BY_HAND}/pods`;
const victim = (subresource?: string) => podPath(ATTACKED, 'victim', subresource);

/** By who may create and edit pods: past the gate, or past the sidecar by its uid. */
export const AUTHOR_ATTACKS: readonly Attack[] = [
  row(
    ['pod author', 'remove the gate from a pod', 'API server'],
    'author',
    patch(podPath(BY_HAND, 'waiting'), { spec: { initContainers: null } }),
  ),
  row(['pod author', "swap the gate's image", GATED], 'author', {
    method: 'PATCH',
    path: podPath(BY_HAND, 'waiting'),
    contentType: 'application/strategic-merge-patch+json',
    body: { spec: { initContainers: [{ name: GATE, image: 'docker.io/library/true:1' }] } },
  }),
  row(['pod author', 'create a mesh pod without a gate', GATED], 'author', () => ({
    path: pods,
    body: appPod('gateless', { initContainers: [standInSidecar()] }),
  })),
  row(['pod author', 'a container with uid 1337', IDENTITY], 'author', () => handMadeAs('uid', { runAsUser: 1337 })),
  row(['pod author', 'a container with gid 1337', IDENTITY], 'author', () =>
    handMadeAs('gid', { runAsUser: 1000, runAsGroup: 1337 }),
  ),
  row(['pod author', 'a pod with uid 1337', IDENTITY], 'author', async () => ({
    path: pods,
    body: await handMade('pod-uid', { spec: { securityContext: { ...POD_SECURITY, runAsUser: 1337 } } }),
  })),
  row(['pod author', "declare the application's uid the proxy's", IDENTITY], 'author', async () => ({
    path: pods,
    body: await handMade('declared', { annotations: { 'pod-network-controller.istio.io/envoy-userid': '1337, 1000' } }),
  })),
  row(['who may add ephemeral containers', 'one with uid 1337', IDENTITY], 'clusterAdmin', {
    method: 'PATCH',
    path: victim('ephemeralcontainers'),
    contentType: 'application/strategic-merge-patch+json',
    body: { spec: { ephemeralContainers: [ephemeral('as-proxy', { runAsUser: 1337 })] } },
  }),
  row(['who may add ephemeral containers', 'one with NET_ADMIN', 'Pod Security'], 'clusterAdmin', {
    method: 'PATCH',
    path: victim('ephemeralcontainers'),
    contentType: 'application/strategic-merge-patch+json',
    body: {
      spec: { ephemeralContainers: [ephemeral('net-admin', { capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] } })] },
    },
  }),
  row(['pod author', 'NET_ADMIN in a user namespace of its own', 'Pod Security'], 'author', async () => ({
    path: pods,
    body: await handMade('own-users', {
      spec: { hostUsers: false },
      containers: [{ ...ephemeral('net-admin', { capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] } }) }],
    }),
  })),
];

async function handMadeAs(name: string, securityContext: object): Promise<Ask> {
  return { path: pods, body: await handMade(name, { containers: [ephemeral('disguised', securityContext)] }) };
}

function ephemeral(name: string, securityContext: object): object {
  return {
    name,
    image: 'docker.io/library/none:1',
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      ...POD_SECURITY,
      ...securityContext,
    },
  };
}
