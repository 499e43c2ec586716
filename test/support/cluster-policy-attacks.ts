import {
  AGENT_USER,
  ATTACKED,
  BY_HAND,
  handMade,
  LENIENT,
  NODE_EXTRA,
  OTHER_NODE,
  OWN_NODE,
  podPath,
} from './cluster-policy-stage.ts';
import { appPod } from './cluster-pods.ts';
import { ask, type Ask } from './cluster-tokens.ts';
import { type Attack, patch, row } from './cluster-policy-attack.ts';
import { CAPTURE, INITIALIZE, kubectlJson, MESSAGE, STATUS, textAt } from './cluster.ts';

const AGENT = '…-agent';
const ANNOTATIONS = '…-annotations';
const SET = { metadata: { annotations: { [STATUS]: 'initialized' } } };
const victim = (subresource?: string) => podPath(ATTACKED, 'victim', subresource);
const pods = `/api/v1/namespaces/${BY_HAND}/pods`;

/** Through the API server. */
export const API_ATTACKS: readonly Attack[] = [
  row(['agent of another node', 'set status on a pod here', AGENT], 'agentElsewhere', patch(victim('status'), SET)),
  row(['agent', "set status on another node's pod", AGENT], 'agent', patch(podPath(ATTACKED, 'far', 'status'), SET)),
  row(
    ['agent', 'set status on an unscheduled pod', AGENT],
    'agent',
    patch(podPath(ATTACKED, 'unbound', 'status'), SET),
  ),
  row(['agent token, unbound', 'set status', AGENT], 'agentUnbound', patch(victim('status'), SET)),
  row(
    ['agent', 'set a foreign annotation', AGENT],
    'agent',
    patch(victim('status'), { metadata: { annotations: { [INITIALIZE]: 'false' } } }),
  ),
  row(
    ['agent', "remove Istio's annotation", AGENT],
    'agent',
    patch(victim('status'), { metadata: { annotations: { 'sidecar.istio.io/status': null } } }),
  ),
  row(['agent', 'set a label', AGENT], 'agent', patch(victim('status'), { metadata: { labels: { app: 'other' } } })),
  row(
    ['agent', 'set a finalizer', AGENT],
    'agent',
    patch(victim('status'), { metadata: { finalizers: ['example.org/stay'] } }),
  ),
  row(['agent', 'change podIP', AGENT], 'agent', patch(victim('status'), { status: { podIP: '192.0.2.1' } })),
  row(['agent', 'patch the pod itself', 'RBAC'], 'agent', patch(victim(), SET)),
  row(['agent', 'read a Secret', 'RBAC'], 'agent', { path: `/api/v1/namespaces/${ATTACKED}/secrets` }),
  row(['agent with a Role too wide', 'patch the pod itself', AGENT], 'agent', patch(podPath(LENIENT, 'root'), SET)),
  row(['agent with a Role too wide', 'create a pod', AGENT], 'agent', {
    path: `/api/v1/namespaces/${LENIENT}/pods`,
    body: appPod('by-agent'),
  }),
  row(['agent with a Role too wide', 'delete a pod', AGENT], 'agent', {
    method: 'DELETE',
    path: podPath(LENIENT, 'root'),
  }),
  row(['agent with a Role too wide', 'run a program in a pod', AGENT], 'agent', {
    method: 'POST',
    path: `${podPath(LENIENT, 'root', 'exec')}?command=/bookinfo&container=app&stdout=true`,
  }),
  row(['agent', "an Event in another node's name", `${AGENT}-events`], 'agent', {
    path: `/apis/events.k8s.io/v1/namespaces/${ATTACKED}/events`,
    body: event(OTHER_NODE),
  }),
  row(['agent token, unbound', 'an Event', `${AGENT}-events`], 'agentUnbound', {
    path: `/apis/events.k8s.io/v1/namespaces/${ATTACKED}/events`,
    body: event(OWN_NODE),
  }),
  row(
    ['namespace admin', 'set the annotation', ANNOTATIONS],
    'namespaceAdmin',
    patch(victim(), { metadata: { annotations: { [STATUS]: 'failed' } } }),
  ),
  row(
    ['namespace admin', 'remove the annotation', ANNOTATIONS],
    'namespaceAdmin',
    patch(victim(), { metadata: { annotations: { [STATUS]: null } } }),
  ),
  row(
    ['namespace admin', 'set it to an empty text', ANNOTATIONS],
    'namespaceAdmin',
    patch(victim(), { metadata: { annotations: { [MESSAGE]: '' } } }),
  ),
  row(['namespace admin', 'set it through pods/status', 'RBAC'], 'namespaceAdmin', patch(victim('status'), SET)),
  row(['cluster admin', 'set the annotation', ANNOTATIONS], 'clusterAdmin', patch(podPath(BY_HAND, 'waiting'), SET)),
  row(
    ['cluster admin', 'set it through pods/status', ANNOTATIONS],
    'clusterAdmin',
    patch(podPath(BY_HAND, 'waiting', 'status'), SET),
  ),
  row(
    ['cluster admin', 'remove the report', ANNOTATIONS],
    'clusterAdmin',
    patch(victim('status'), { metadata: { annotations: { [CAPTURE]: null } } }),
  ),
  row(['pod author', 'create a pod that carries the annotation', ANNOTATIONS], 'author', async () => ({
    path: pods,
    body: await handMade('preset', { annotations: { [STATUS]: 'initialized' } }),
  })),
  row(
    ['pod author', 'open the gate by the annotation', ANNOTATIONS],
    'author',
    patch(podPath(BY_HAND, 'waiting'), SET),
  ),
  row(['pod author', 'bind a pod', 'RBAC'], 'author', {
    path: podPath(ATTACKED, 'unbound', 'binding'),
    body: binding(),
  }),
  row(['own scheduler', 'the annotation on a binding', ANNOTATIONS], 'scheduler', {
    path: podPath(ATTACKED, 'unbound', 'binding'),
    body: binding(),
  }),
  row(['own scheduler', 'the annotation on an old binding', ANNOTATIONS], 'scheduler', {
    path: `/api/v1/namespaces/${ATTACKED}/bindings`,
    body: binding(),
  }),
  row(
    ['kubelet of the node', 'set the annotation', ANNOTATIONS],
    'kubelet',
    patch(victim('status'), { metadata: { annotations: { [STATUS]: 'failed' } } }),
  ),
  row(['kubelet of the node', 'patch the pod itself', 'RBAC'], 'kubelet', patch(victim(), SET)),
  row(['kubelet of the node', 'a mirror pod that carries the annotation', ANNOTATIONS], 'kubelet', async () => ({
    path: '/api/v1/namespaces/default/pods',
    body: await mirrorPod(),
  })),
  row(
    ['kubelet of another node', 'set the annotation', 'node restriction'],
    'kubeletElsewhere',
    patch(victim('status'), SET),
  ),
  row(['impersonator of the agent', 'without a node', AGENT], 'impersonator', as({})),
  row(['impersonator of the agent', 'with another node', AGENT], 'impersonator', as({ [NODE_EXTRA]: OTHER_NODE })),
  row(
    ['impersonator, not of token claims', 'with the right node', 'RBAC'],
    'pretender',
    as({ [NODE_EXTRA]: OWN_NODE }),
  ),
  {
    ...row(
      ['impersonator of the agent and of token claims', 'with the right node', 'nothing'],
      'impersonator',
      as({ [NODE_EXTRA]: OWN_NODE }),
    ),
    undo: async ({ agent }) => {
      await ask(agent, patch(victim('status'), { metadata: { annotations: { [MESSAGE]: null } } }));
    },
  },
];

/** As kubelet shows a static pod to the API server. */
async function mirrorPod(): Promise<object> {
  const uid = textAt(await kubectlJson(['get', 'node', OWN_NODE]), 'metadata', 'uid');
  const owner = { apiVersion: 'v1', kind: 'Node', name: OWN_NODE, uid, controller: true };
  const annotations = { 'kubernetes.io/config.mirror': 'hash', [STATUS]: 'initialized' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'pnc-test-mirror', annotations, ownerReferences: [owner] },
    spec: { nodeName: OWN_NODE, containers: [{ name: 'app', image: 'docker.io/library/none:1' }] },
  };
}

function binding(): object {
  return {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: 'unbound', annotations: { [STATUS]: 'initialized' } },
    target: { apiVersion: 'v1', kind: 'Node', name: OWN_NODE },
  };
}

function event(reportingInstance: string): object {
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: 'victim.forged' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'pod-network-controller.istio.io/agent',
    reportingInstance,
    action: 'Capture',
    reason: 'Captured',
    type: 'Normal',
    note: 'forged',
    regarding: { apiVersion: 'v1', kind: 'Pod', namespace: ATTACKED, name: 'victim' },
  };
}

function as(extra: Readonly<Record<string, string>>): Ask {
  const extras = Object.entries(extra).map(
    ([name, value]) => [`Impersonate-Extra-${encodeURIComponent(name)}`, value] as const,
  );
  return {
    ...patch(victim('status'), { metadata: { annotations: { [MESSAGE]: 'forged' } } }),
    headers: { 'Impersonate-User': AGENT_USER, ...Object.fromEntries(extras) },
  };
}
