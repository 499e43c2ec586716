import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { restartAgent } from '../support/cluster-agent.ts';
import { grantedTo, type Right, rightsTable, type Used, usedBy } from '../support/cluster-policy-rbac.ts';
import {
  AGENT_NAMESPACE,
  appPod,
  createPods,
  getPod,
  handMadeGate,
  standInSidecar,
  waitReady,
} from '../support/cluster-pods.ts';
import { createNamespace, deleteNamespaces, INITIALIZE, MESH, STATUS, textAt, waitFor } from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-rbac';
const BY_HAND = 'pnc-test-rbac-by-hand';
const AGENT = { namespace: AGENT_NAMESPACE, name: 'istio-pod-network-controller' };

/** Granted, and not used by what this test does; each with its reason. */
const EXCEPTIONS: Readonly<Record<Right, string>> = {};

let granted: readonly Right[];
let used: readonly Used[];

beforeAll(async () => {
  await createNamespace(NAMESPACE, MESH);
  await createNamespace(BY_HAND, { annotations: { [INITIALIZE]: 'true' } });
  // Everything the agent ever does: it starts, captures, refuses, tells, and forgets a pod that is gone.
  const sinceMs = Date.now();
  await restartAgent();
  await createPods(NAMESPACE, [appPod('captured')]);
  const unreadable = { 'traffic.sidecar.istio.io/excludeOutboundPorts': 'https' };
  const initContainers = [await handMadeGate([]), standInSidecar()];
  await createPods(BY_HAND, [appPod('refused', { annotations: unreadable, initContainers })]);
  await waitReady(NAMESPACE, ['captured']);
  await waitFor('the pod is refused', async () => (await statusOf(BY_HAND, 'refused')) === 'failed', {
    timeoutMs: 30_000,
  });
  await deleteNamespaces([NAMESPACE, BY_HAND]);
  granted = await grantedTo(AGENT);
  // The log is written in batches. Of two pods two Events are the last thing that is said.
  const events = () => usedBy(AGENT, sinceMs, granted).filter(({ right }) => right.startsWith('create events'));
  await waitFor('the audit log has it all', async () => events().length >= 2, { timeoutMs: 30_000 });
  used = usedBy(AGENT, sinceMs, granted);
  process.stdout.write(`${rightsTable('the agent', granted, used)}\n`);
});
afterAll(() => deleteNamespaces([NAMESPACE, BY_HAND]));

describe('the rights of the agent', () => {
  it('are enough: nothing it asked for was refused', () => {
    expect(used.filter(({ code }) => code === 401 || code === 403)).toEqual([]);
    expect(used.length).toBeGreaterThan(0);
  });

  it('are least: each one is used', () => {
    const idle = granted.filter((right) => !used.some((request) => request.right === right));
    expect(idle).toEqual(Object.keys(EXCEPTIONS).sort());
  });

  it('are these and no more', () => {
    expect(new Set(used.map(({ right }) => right))).toEqual(
      new Set([
        'list pods',
        'watch pods',
        'list namespaces',
        'watch namespaces',
        'patch pods/status',
        'create events.events.k8s.io',
      ]),
    );
  });
});

async function statusOf(namespace: string, name: string): Promise<string> {
  return textAt(await getPod(namespace, name), 'metadata', 'annotations', STATUS);
}
