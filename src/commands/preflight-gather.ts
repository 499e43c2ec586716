import { isControllerError, messageOf } from '../errors.ts';
import { statusOf } from '../kube/api-errors.ts';
import type { Cluster } from '../kubeconfig/cluster.ts';
import { automaticCarrier, isOpenShift } from '../preflight/checks-kubernetes.ts';
import { type ClusterFacts, type CniFacts, type Fact, known, type Permission } from '../preflight/facts.ts';
import { resourceName, type Wanted, wantedPermissions } from '../preflight/permissions.ts';
import {
  readDaemonSet,
  readInjectorWebhook,
  readIstiod,
  readMeshPod,
  readNamespace,
  readNode,
} from '../preflight/read-cluster.ts';
import { readCni, readInjectors } from '../preflight/read-istio.ts';

export interface GatherOptions {
  readonly namespace: string;
  readonly istioNamespace: string;
  readonly revision: string | undefined;
}

/** Enough for every pod of a cluster of some hundred nodes; each page is 500. */
const PODS_MAX = 20_000;

/**
 * Asks the cluster for everything the checks look at, as much at once as the API server likes from one user. What may not be read is a
 * fact that is not known. Throws only when the cluster cannot be reached or does not know the user.
 */
export async function gatherFacts(cluster: Cluster, options: GatherOptions): Promise<ClusterFacts> {
  const atMost = limiter(REQUESTS_AT_ONCE);
  const fact = <T>(what: string, ask: () => Promise<T>) => atMost(() => asFact(what, ask));
  const list = <T>(path: string, resource: string, read: (object: unknown) => readonly T[]) =>
    fact(`list ${resource}`, async () => (await cluster.list({ path, resource }, read)).items);

  // The first answer tells whether there is a cluster at all; without one there is nothing to check.
  const version = await versionFact(cluster);
  const istio = `/namespaces/${encodeURIComponent(options.istioNamespace)}`;
  const [groups, admission, nodes, namespaces, pods, daemonSets, istiods, injectors, injectorWebhooks] =
    await Promise.all([
      fact('read the API groups', async () =>
        names(await cluster.get({ path: '/apis', resource: 'API groups' }), 'groups'),
      ),
      fact('read the admission API', async () =>
        names(
          await cluster.get({ path: '/apis/admissionregistration.k8s.io/v1', resource: 'admission API' }),
          'resources',
        ),
      ),
      list('/api/v1/nodes', 'nodes', readNode),
      list('/api/v1/namespaces', 'namespaces', readNamespace),
      fact('list pods', async () => {
        const listed = await cluster.list({ path: '/api/v1/pods', resource: 'pods' }, readMeshPod, PODS_MAX);
        return { pods: listed.items, complete: !listed.more };
      }),
      list('/apis/apps/v1/daemonsets', 'daemonsets', readDaemonSet),
      fact(`list deployments in ${options.istioNamespace}`, async () => {
        const asked = {
          path: `/apis/apps/v1${istio}/deployments`,
          resource: 'deployments',
          query: { labelSelector: 'app=istiod' },
        };
        const all = (await cluster.list(asked, readIstiod)).items;
        return all.filter(({ revision }) => options.revision === undefined || revision === options.revision);
      }),
      fact(`list configmaps in ${options.istioNamespace}`, async () =>
        readInjectors(
          (await cluster.list({ path: `/api/v1${istio}/configmaps`, resource: 'configmaps' }, (object) => [object]))
            .items,
          options.revision,
        ),
      ),
      list(
        '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
        'mutatingwebhookconfigurations',
        readInjectorWebhook,
      ),
    ]);
  const cni = await cniFact(cluster, daemonSets);
  const facts = {
    version,
    groups,
    admission,
    nodes,
    namespaces,
    pods,
    daemonSets,
    istiods,
    injectors,
    injectorWebhooks,
    cni,
  };
  const permissions = await permissionsFact(cluster, { ...facts, permissions: known([]) }, options.namespace, atMost);
  return { ...facts, permissions };
}

async function versionFact(cluster: Cluster): Promise<Fact<string>> {
  try {
    return known(textAt(await cluster.get({ path: '/version', resource: 'version' }), 'gitVersion'));
  } catch (error: unknown) {
    if (statusOf(error) === 403) return { known: false, why: 'no permission to read the version' };
    throw error;
  }
}

/** istio-cni's settings are where its DaemonSet is. */
async function cniFact(cluster: Cluster, daemonSets: ClusterFacts['daemonSets']): Promise<Fact<CniFacts | undefined>> {
  if (!daemonSets.known) return daemonSets;
  const found = daemonSets.value.find(
    ({ name, labels }) => name === 'istio-cni-node' || labels['k8s-app'] === 'istio-cni-node',
  );
  if (found === undefined) return known(undefined);
  const path = `/api/v1/namespaces/${encodeURIComponent(found.namespace)}/configmaps/istio-cni-config`;
  return asFact(`get configmaps in ${found.namespace}`, async () =>
    readCni(found.namespace, await cluster.find({ path, resource: 'configmap istio-cni-config' })),
  );
}

async function permissionsFact(
  cluster: Cluster,
  facts: ClusterFacts,
  namespace: string,
  atMost: Limiter,
): Promise<ClusterFacts['permissions']> {
  const carrier = automaticCarrier(facts);
  const openShift = isOpenShift(facts);
  if (!carrier.known) return carrier;
  if (!openShift.known) return openShift;
  const wanted = wantedPermissions({ carrier: carrier.value, openShift: openShift.value });
  return asFact('ask for permissions', () =>
    Promise.all(wanted.map((one) => atMost(() => mayCreate(cluster, one, namespace)))),
  );
}

async function mayCreate(cluster: Cluster, one: Wanted, namespace: string): Promise<Permission> {
  const { group, resource, namespaced } = one;
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb: 'create', group, resource, ...(namespaced ? { namespace } : {}) } },
  };
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const answer = await cluster.create({ path, resource: 'selfsubjectaccessreviews' }, review);
  const status: unknown =
    typeof answer === 'object' && answer !== null && 'status' in answer ? answer.status : undefined;
  const allowed = typeof status === 'object' && status !== null && 'allowed' in status && status.allowed === true;
  return { verb: 'create', resource: resourceName(one), allowed };
}

/** One user's burst: well below what the API server gives a flow of its own. */
const REQUESTS_AT_ONCE = 8;

async function asFact<T>(what: string, ask: () => Promise<T>): Promise<Fact<T>> {
  try {
    return known(await ask());
  } catch (error: unknown) {
    const status = statusOf(error);
    if (status === 403) return { known: false, why: `no permission to ${what}` };
    // Not to this user: everything else would fail in the same way.
    if (status === 401 || !isControllerError(error, 'ApiUnavailable', 'ApiRefused', 'ApiReply')) throw error;
    return { known: false, why: `could not ${what}: ${messageOf(error)}` };
  }
}

function names(answer: unknown, key: string): readonly string[] {
  const list: unknown = typeof answer === 'object' && answer !== null ? Reflect.get(answer, key) : undefined;
  return Array.isArray(list) ? list.map((one) => textAt(one, 'name')) : [];
}

type Limiter = <T>(work: () => Promise<T>) => Promise<T>;

/** Runs at most `max` at once; the others wait their turn. */
function limiter(max: number): Limiter {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= max) await new Promise<void>((go) => void waiting.push(go));
    running += 1;
    try {
      return await work();
    } finally {
      running -= 1;
      waiting.shift()?.();
    }
  };
}

function textAt(value: unknown, key: string): string {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  return typeof found === 'string' ? found : '';
}
