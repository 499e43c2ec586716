import { isControllerError } from '../../errors.ts';
import { statusOf } from '../../kube/api-errors.ts';
import { listWatch } from '../../kube/list-watch.ts';
import { LIST_WATCH_TIMES, type ListWatchTimes } from '../../kube/list-watch-state.ts';
import type { ApiRequest, Transport } from '../../kube/request.ts';
import type { Clock, CollectionState, ListWatchOptions } from '../../kube/types.ts';

/** The manager under whose name the API server files what we apply; it keeps our entries apart from what Helm and people write. */
export const FIELD_MANAGER = 'istio-pod-network-controller-webhook';

/** All the webhook asks of the API server; the chart's Role and ClusterRole allow exactly this. */
export interface ClusterApi {
  /** As KubeClient.listWatch. */
  listWatch<T>(options: ListWatchOptions<T>, signal: AbortSignal): Promise<void>;
  /** True while a list/watch of the resource runs and gets nothing through. */
  failing(resource: string): boolean;
  /** A Namespace as the API server has it now; undefined if there is none. Short: a review waits for it. */
  namespace(name: string): Promise<unknown>;
  /** `lost`: somebody else wrote it in the meantime. */
  createSecret(namespace: string, secret: object): Promise<WriteResult>;
  /** Merge patch; `lost` unless the Secret still is the one with this uid and resourceVersion. */
  patchSecret(target: SecretVersion, patch: object): Promise<WriteResult>;
  /** Server-side apply of a MutatingWebhookConfiguration that exists with this uid; gives what it is now. Never creates one. */
  applyConfiguration(target: ConfigurationVersion, webhooks: readonly object[]): Promise<unknown>;
  /** Writes over all webhooks, of whichever manager, unless the configuration has changed since; gives what it is now. */
  rewriteConfiguration(target: ConfigurationVersion, webhooks: readonly object[]): Promise<unknown>;
}

export type WriteResult = 'written' | 'lost';

export interface SecretVersion {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

export interface ConfigurationVersion {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

export const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';

const WRITE_TIMEOUT_MS = 10_000;
/** Within the 5 s the API server waits for the review. */
const NAMESPACE_TIMEOUT_MS = 2_000;

/** `signal` ends what is under way. */
export function createClusterApi(options: {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly times?: ListWatchTimes;
}): ClusterApi {
  const { transport, clock, signal, times = LIST_WATCH_TIMES } = options;
  const states = new Set<CollectionState>();
  const write = async (request: ApiRequest): Promise<WriteResult> => {
    try {
      await transport.write(request, signal);
      return 'written';
    } catch (error: unknown) {
      // 404: deleted since; 409: changed, or created, since. The watch will say what there is now.
      if (isControllerError(error) && [404, 409].includes(statusOf(error) ?? 0)) return 'lost';
      throw error;
    }
  };
  return {
    listWatch: (request, until) => listWatch(request, { transport, clock, times, states }, until),
    failing: (resource) =>
      [...states].some((state) => state.resource === resource && state.failingSinceMs !== undefined),
    namespace: (name) => getNamespace(transport, name, signal),
    createSecret: (namespace, secret) => write(createSecretRequest(namespace, secret)),
    patchSecret: (target, patch) => write(patchSecretRequest(target, patch)),
    applyConfiguration: (target, webhooks) => transport.json(applyRequest(target, webhooks), signal),
    rewriteConfiguration: (target, webhooks) => transport.json(rewriteRequest(target, webhooks), signal),
  };
}

export function secretsPath(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
}

async function getNamespace(transport: Transport, name: string, signal: AbortSignal): Promise<unknown> {
  const path = `/api/v1/namespaces/${encodeURIComponent(name)}`;
  const request = {
    method: 'GET',
    verb: 'get',
    resource: 'namespaces',
    path,
    timeoutMs: NAMESPACE_TIMEOUT_MS,
  } as const;
  try {
    return await transport.json(request, signal);
  } catch (error: unknown) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

function createSecretRequest(namespace: string, secret: object): ApiRequest {
  return {
    method: 'POST',
    verb: 'create',
    resource: 'secrets',
    path: secretsPath(namespace),
    query: { fieldManager: FIELD_MANAGER },
    body: { contentType: 'application/json', json: secret },
    timeoutMs: WRITE_TIMEOUT_MS,
  };
}

function patchSecretRequest({ namespace, name, uid, resourceVersion }: SecretVersion, patch: object): ApiRequest {
  return {
    method: 'PATCH',
    verb: 'patch',
    resource: 'secrets',
    path: `${secretsPath(namespace)}/${encodeURIComponent(name)}`,
    query: { fieldManager: FIELD_MANAGER },
    // Both are preconditions: the API server answers 409 if the object is another one, or was written since.
    body: {
      contentType: 'application/merge-patch+json',
      json: { ...patch, metadata: { uid, resourceVersion } },
    },
    timeoutMs: WRITE_TIMEOUT_MS,
  };
}

function applyRequest({ name, uid }: ConfigurationVersion, webhooks: readonly object[]): ApiRequest {
  // The uid keeps an apply from creating what an administrator has just removed.
  const object = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name, uid },
    webhooks,
  };
  return {
    ...patchConfiguration(name),
    // Force: what others wrote into our fields is what is to be repaired.
    query: { fieldManager: FIELD_MANAGER, force: 'true' },
    body: { contentType: 'application/apply-patch+yaml', json: object },
  };
}

function rewriteRequest({ name, uid, resourceVersion }: ConfigurationVersion, webhooks: readonly object[]): ApiRequest {
  return {
    ...patchConfiguration(name),
    query: { fieldManager: FIELD_MANAGER },
    // A merge patch replaces lists as a whole.
    body: { contentType: 'application/merge-patch+json', json: { metadata: { uid, resourceVersion }, webhooks } },
  };
}

function patchConfiguration(name: string) {
  return {
    method: 'PATCH',
    verb: 'patch',
    resource: 'mutatingwebhookconfigurations',
    path: `${CONFIGURATIONS}/${encodeURIComponent(name)}`,
    timeoutMs: WRITE_TIMEOUT_MS,
  } as const;
}
