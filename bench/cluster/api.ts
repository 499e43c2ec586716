import { Agent } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { at, textAt } from '../../test/support/cluster.ts';
import { type Answer, type Ask, ask, clusterAdmin, type Identity } from '../../test/support/cluster-tokens.ts';

/** A pod that the API server has stored. */
export interface StoredPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** As admission left it. */
  readonly object: unknown;
  /** Wall clock of this process just before the request was sent: the server's own stamp has whole seconds. */
  readonly requestedAtMs: number;
}

const GONE_TIMEOUT_MS = 120_000;
const LOOK_EVERY_MS = 100;
/** Read at the first request: `make bench` knows this file before there is a cluster. */
let admin: Identity | undefined;
/** kubectl's own start would be a tenth of what is measured; so would a handshake. */
const connections = new Agent({ keepAlive: true, maxSockets: 16 });

/** One request as the cluster's admin; throws unless the answer is a 2xx or one of `accepted`. */
export async function call(request: Ask, accepted: readonly number[] = []): Promise<Answer> {
  admin ??= clusterAdmin();
  const answer = await ask(admin, { ...request, connections });
  if (answer.status < 300 || accepted.includes(answer.status)) return answer;
  throw new Error(`${request.method ?? 'GET'} ${request.path}: ${answer.status} ${answer.message}`);
}

export async function createPod(namespace: string, pod: object): Promise<StoredPod> {
  const requestedAtMs = Date.now();
  const { body } = await call({ method: 'POST', path: podsPath(namespace), body: pod });
  const [name, uid] = [textAt(body, 'metadata', 'name'), textAt(body, 'metadata', 'uid')];
  return { namespace, name, uid, object: body, requestedAtMs };
}

/** As the API server has it now. */
export async function readPod({ namespace, name }: StoredPod): Promise<unknown> {
  return (await call({ path: `${podsPath(namespace)}/${name}` })).body;
}

/** As kubelet ends it, within the pod's own grace period. Does not wait. */
export async function deletePod({ namespace, name }: StoredPod): Promise<void> {
  await call({ method: 'DELETE', path: `${podsPath(namespace)}/${name}` }, [404]);
}

/** Ends it and returns when kubelet has let go of it: containers, volumes and cgroup are gone then. */
export async function removePod(pod: StoredPod): Promise<void> {
  await deletePod(pod);
  const path = `${podsPath(pod.namespace)}/${pod.name}`;
  const deadlineMs = performance.now() + GONE_TIMEOUT_MS;
  for (;;) {
    const { status, body } = await call({ path }, [404]);
    if (status === 404 || textAt(body, 'metadata', 'uid') !== pod.uid) return;
    if (performance.now() > deadlineMs) throw new Error(`${path}: not gone: ${JSON.stringify(at(body, 'status'))}`);
    await delay(LOOK_EVERY_MS);
  }
}

/** Takes the object away at once, where no kubelet is there to end anything. */
export async function eraseObject({ namespace, name }: StoredPod): Promise<void> {
  await call({ method: 'DELETE', path: `${podsPath(namespace)}/${name}?gracePeriodSeconds=0` }, [404]);
}

function podsPath(namespace: string): string {
  return `/api/v1/namespaces/${namespace}/pods`;
}
