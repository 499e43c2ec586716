import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { asObject } from '../src/admission/json.ts';
import type { FakeSandbox } from '../src/sandbox/cri/fake-runtime.ts';
import { createPodNetns, POD_IP, type PodNetns } from './pod-netns.ts';

/** One mesh pod as API server, runtime and kernel each see it. */
export interface NodePod {
  readonly name: string;
  readonly object: Readonly<Record<string, unknown>>;
  readonly sandbox: FakeSandbox;
  readonly netns: PodNetns;
}

export const NODE_NAME = 'bench';
export const NAMESPACE = 'bookinfo';
/** Sizes as containerd and the API server of the lab have them: what an agent throws away it must have read first. */
const RUNTIME_SPEC_FILLER = 'x'.repeat(24_000);
const MANAGED_FIELDS = Array.from({ length: 4 }, (_, index) => ({
  manager: `m${index}`,
  fieldsV1: { f: 'y'.repeat(1_500) },
}));

const example = asObject(parse(readFileSync(join(resolve(import.meta.dirname, '..'), 'examples/pod.yaml'), 'utf8')));

/** The `index`-th pod of a node; its netns is made. `prefix` keeps two such nodes on one machine apart. */
export function makePod(prefix: string, index: number): NodePod {
  const name = `${prefix}-${index}`;
  const uid = `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;
  const metadata = asObject(example.metadata);
  const object = {
    ...example,
    metadata: { ...metadata, name, namespace: NAMESPACE, uid, resourceVersion: '1', managedFields: MANAGED_FIELDS },
    spec: { ...asObject(example.spec), nodeName: NODE_NAME },
    status: { phase: 'Pending', conditions: [] },
  };
  const netns = createPodNetns();
  const info = {
    runtimeSpec: { linux: { namespaces: [{ type: 'network', path: netns.path }] } },
    config: RUNTIME_SPEC_FILLER,
  };
  const sandbox = {
    id: `${prefix}${index}`,
    podUid: uid,
    network: { ip: POD_IP },
    info: { info: JSON.stringify(info) },
  };
  return { name, object, sandbox, netns };
}

/** Removes their netns. */
export function removeNetns(pods: readonly NodePod[]): void {
  for (const { netns } of pods) netns.remove();
}
