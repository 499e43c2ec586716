import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import type { ApiServer } from './api-server.ts';
import { copyStored, copyToken, signingKey } from './copies.ts';
import type { StoredObject } from './etcd-store.ts';
import {
  AGENT,
  agentPod,
  chartObjects,
  type Creation,
  meshPod,
  namespaceName,
  namespaceObjects,
  nodeName,
  nodeObject,
} from './objects.ts';

const TIMEOUT_MS = 30_000;

/** A node's agent as far as the API server knows it. */
export interface AgentIdentity {
  readonly node: number;
  readonly token: string;
}

/** The objects of the simulated cluster; it only ever grows. */
export interface Population {
  readonly namespaces: number;
  readonly podsPerNode: number;
  /** What one mesh pod of it is in JSON, as the API server gives it. */
  readonly podBytes: number;
  readonly agents: readonly AgentIdentity[];
  grow(nodes: number): Promise<void>;
}

/**
 * Namespaces, rights and policies, and one node with its agent, its agent's token and a mesh pod are created through the API. The other nodes
 * are copies of that one, put where the API server keeps its objects: admitting some ten thousand pods is not what is measured.
 */
export async function startPopulation(
  server: ApiServer,
  { namespaces, podsPerNode }: { readonly namespaces: number; readonly podsPerNode: number },
): Promise<Population> {
  for (const object of chartObjects()) await create(server, object);
  for (let namespace = 0; namespace < namespaces; namespace += 1) {
    for (const object of namespaceObjects(namespace)) await create(server, object);
  }
  const first = await firstNode(server);
  const key = signingKey(readFileSync(server.serviceAccountKeyFile, 'utf8'));
  const agents: AgentIdentity[] = [{ node: 0, token: first.token }];

  function* copiesOf(node: number): Generator<StoredObject> {
    const uids = { node: randomUUID(), agent: randomUUID() };
    const named = { [nodeName(0)]: nodeName(node) };
    if (node > 0) {
      const replaced = { ...named, [first.agent.uid]: uids.agent };
      const identity = { ...replaced, [first.node.uid]: uids.node };
      yield { key: nodeKey(node), value: copyStored(first.node.stored, { ...named, [first.node.uid]: uids.node }) };
      yield { key: agentKey(node), value: copyStored(first.agent.stored, replaced) };
      agents.push({ node, token: copyToken(first.token, { ...identity, [idOf(first.token)]: randomUUID() }, key) });
    }
    for (let pod = node === 0 ? 1 : 0; pod < podsPerNode; pod += 1) {
      const namespace = namespaceName((node * podsPerNode + pod) % namespaces);
      const name = meshPodName(node, pod);
      const texts = { [meshPodName(0, 0)]: name, [namespaceName(0)]: namespace, [first.mesh.uid]: randomUUID() };
      yield { key: meshKey(namespace, name), value: copyStored(first.mesh.stored, { ...named, ...texts }) };
    }
  }

  let grown = 0;
  return {
    namespaces,
    podsPerNode,
    podBytes: first.mesh.bytes,
    agents,
    grow: async (nodes) => {
      const from = grown;
      grown = Math.max(grown, nodes);
      await server.store.putAll(
        (function* () {
          for (let node = from; node < nodes; node += 1) yield* copiesOf(node);
        })(),
      );
    },
  };
}

interface Prototype {
  readonly uid: string;
  readonly stored: Buffer;
  /** As JSON. */
  readonly bytes: number;
}

async function firstNode(server: ApiServer) {
  async function prototype(creation: Creation, key: string): Promise<Prototype> {
    const answer = await create(server, creation);
    const { uid } = v.parse(Named, answer).metadata;
    return { uid, stored: await server.store.get(key), bytes: Buffer.byteLength(JSON.stringify(answer)) };
  }
  const node = await prototype(nodeObject(0), nodeKey(0));
  const agent = await prototype(agentPod(0), agentKey(0));
  const mesh = meshPod({ name: meshPodName(0, 0), node: 0, namespace: 0 });
  const stored = await prototype(mesh, meshKey(namespaceName(0), meshPodName(0, 0)));
  const request = tokenRequest({ name: `agent-${nodeName(0)}`, uid: agent.uid });
  const { token } = v.parse(Token, await create(server, request)).status;
  return { node, agent, mesh: stored, token };
}

function create({ admin }: ApiServer, { path, body }: Creation): Promise<unknown> {
  const asked = { method: 'POST', verb: 'create', resource: path, path, timeoutMs: TIMEOUT_MS } as const;
  const content = { contentType: 'application/json', json: body };
  return admin.json({ ...asked, body: content }, new AbortController().signal);
}

/** What kubelet asks for when it mounts a token into a pod: bound to that pod, and through it to its node. */
function tokenRequest({ name, uid }: { readonly name: string; readonly uid: string }): Creation {
  return {
    path: `/api/v1/namespaces/${AGENT}/serviceaccounts/${AGENT}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 3_607, boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } },
    },
  };
}

/** Every token has one of its own. */
function idOf(token: string): string {
  const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
  return v.parse(v.object({ jti: v.string() }), claims).jti;
}

const meshPodName = (node: number, pod: number) =>
  `mesh-${String(node).padStart(5, '0')}-${String(pod).padStart(3, '0')}`;
const nodeKey = (node: number) => `/registry/minions/${nodeName(node)}`;
const agentKey = (node: number) => `/registry/pods/${AGENT}/agent-${nodeName(node)}`;
const meshKey = (namespace: string, name: string) => `/registry/pods/${namespace}/${name}`;

const Named = v.object({ metadata: v.object({ name: v.string(), uid: v.string() }) });
const Token = v.object({ status: v.object({ token: v.string() }) });
