import { capturedAnnotations, STATUS_ANNOTATION } from '../../src/agent/report.ts';
import { nowMs, sleep, wallClock } from '../../src/commands/clock.ts';
import { messageOf } from '../../src/errors.ts';
import { createKubeClient } from '../../src/kube/kube-client.ts';
import { statusOf } from '../../src/kube/api-errors.ts';
import type { ListWatchTimes } from '../../src/kube/list-watch-state.ts';
import type { Change, KubeClient } from '../../src/kube/types.ts';
import { parseNamespace, parsePod } from '../../src/pod/parse-pod.ts';
import { podKey, type Pod } from '../../src/pod/pod.ts';
import type { Ledger } from './ledger.ts';
import { monotonicMs } from './monotonic.ts';
import { CHURN_LABEL, MARKER_ANNOTATION, nodeName } from './objects.ts';
import type { AgentIdentity } from './populate.ts';
import type { Landing } from './protocol.ts';

export const LIST_WATCHES_PER_AGENT = 2;

export interface SimulatedAgentOptions {
  readonly identity: AgentIdentity;
  /** Among the agents of this process. */
  readonly index: number;
  readonly url: URL;
  readonly ca: string;
  readonly times: ListWatchTimes;
  readonly ledger: Ledger;
  readonly onLanding: (landing: Landing) => void;
}

/**
 * A node agent as the API server sees it: the product's client, its two list/watches with the product's projections, and one patch per pod
 * that starts, which follows at once where the real one captures a netns first. Only what touches the node is left out.
 */
export function runSimulatedAgent(options: SimulatedAgentOptions): void {
  const { identity, index, url, ca, times, ledger } = options;
  const node = nodeName(identity.node);
  const watches = { pods: ledger.listWatch(index), namespaces: ledger.listWatch(index) };
  const credentials = { current: () => ({ token: identity.token, ca }), refresh: () => undefined };
  const kube = createKubeClient({
    baseUrl: url,
    credentials,
    observe: ({ verb, resource, code }) => {
      ledger.requested(`${verb} ${resource} ${code}`);
      if (verb === 'watch' && code === '200') watches[resource === 'pods' ? 'pods' : 'namespaces'].opened();
    },
    clock: { nowMs, wallClock, sleep, random: Math.random },
    nodeName: node,
    times,
  });
  const store = new Map<string, unknown>();
  const started = new Set<string>();
  const handlers = (resource: keyof typeof watches) => ({
    onSynced: () => undefined,
    onUnusable: (key: string, error: unknown) => watches[resource].interrupted(`unusable ${key}: ${messageOf(error)}`),
    onTrouble: (error: unknown) => watches[resource].interrupted(`${resource}: ${kindOf(error)}`),
  });
  const keep = <T>(key: string, change: Change<T>) => {
    if (change.type === 'set') store.set(key, change.value);
    else store.delete(key);
    return change.type === 'set' ? change.value : undefined;
  };
  const forever = new AbortController().signal;
  const pods = { path: '/api/v1/pods', resource: 'pods', fieldSelector: `spec.nodeName=${node}`, project: parsePod };
  void kube.listWatch(
    {
      ...pods,
      handlers: {
        ...handlers('pods'),
        onChange: (key, change) => {
          const pod = keep(key, change);
          if (pod?.labels[CHURN_LABEL] === undefined || started.has(pod.uid)) return;
          // Of an earlier round, and done then.
          if (pod.annotations[STATUS_ANNOTATION] !== undefined) return;
          started.add(pod.uid);
          void land(kube, pod).then(options.onLanding);
        },
      },
    },
    forever,
  );
  let marker: string | undefined;
  void kube.listWatch(
    {
      path: '/api/v1/namespaces',
      resource: 'namespaces',
      project: parseNamespace,
      handlers: {
        ...handlers('namespaces'),
        onChange: (key, change) => {
          const seen = keep(key, change)?.annotations[MARKER_ANNOTATION];
          if (seen === undefined || seen === marker) return;
          marker = seen;
          ledger.marked(seen);
        },
      },
    },
    forever,
  );
}

/** The patch of a captured pod, of the size it has. */
async function land(kube: KubeClient, pod: Pod): Promise<Landing> {
  const seenMs = monotonicMs();
  const annotations = capturedAnnotations(pod, {
    policy: 'a3f8c1d20b7e4f96',
    sandbox: '4c6e2f8a9b0d1c3e5f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d9e',
    netns: '4097',
    boot: '5f0c1d1e-2b3a-4c5d-8e9f-0a1b2c3d4e5f',
    backend: 'nft',
    at: new Date().toISOString(),
    ms: 1.07,
  });
  const path = `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}/status`;
  const sentMs = monotonicMs();
  const result = await kube
    .patchAnnotations({ path, uid: pod.uid, annotations: annotations ?? {} })
    .catch((error: unknown) => kindOf(error));
  return { key: podKey(pod), seenMs, sentMs, answeredMs: monotonicMs(), result };
}

/** Short enough to count by. */
function kindOf(error: unknown): string {
  const status = statusOf(error);
  if (status !== undefined) return `status ${status}`;
  return (
    /E[A-Z]{4,}|no answer|socket hang up|at once|broke off/.exec(messageOf(error))?.[0] ?? messageOf(error).slice(0, 80)
  );
}
