import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Agent, metricsOf, readyAgent } from '../support/cluster-agent.ts';
import { capturedState, requireSandbox } from '../support/cluster-host.ts';
import { AGENT_NAMESPACE, appPod, createPods, getPod, waitReady } from '../support/cluster-pods.ts';
import { createNamespace, deleteNamespaces, kubectl, kubectlJson, listAt, MESH, textAt } from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-nri-off';
const DAEMON_SET = 'daemonset/istio-pod-network-controller';

beforeAll(async () => {
  await createNamespace(NAMESPACE, MESH);
  await setNri('auto', 'off');
});
afterAll(async () => {
  await setNri('off', 'auto');
  await deleteNamespaces([NAMESPACE]);
});

it('an agent with --nri=off connects to no socket, and captures a mesh pod while its gate waits', async () => {
  await createPods(NAMESPACE, [appPod('by-looking')]);
  await waitReady(NAMESPACE, ['by-looking']);
  const { netnsPath } = await requireSandbox(textAt(await getPod(NAMESPACE, 'by-looking'), 'metadata', 'uid'));
  expect((await capturedState(netnsPath)).mark).toMatch(/ ready [0-9a-f]{16}$/);
  const metrics = await metricsOf(await readyAgent());
  expect(metrics.sum('captures_total', { action: 'applied' })).toBe(1);
  for (const name of ['nri_connected', 'nri_connections_total', 'nri_hooks_total', 'nri_pods_total']) {
    expect(metrics.sum(name), name).toBe(0);
  }
});

/** Returns once the agent with the other flag is the only one, and Ready. */
async function setNri(from: string, to: string): Promise<Agent> {
  const args = listAt(await kubectlJson(['get', '-n', AGENT_NAMESPACE, DAEMON_SET]), ...AT_ARGS);
  const path = `/${[...AT_ARGS, args.indexOf(`--nri=${from}`)].join('/')}`;
  const patch = [{ op: 'replace', path, value: `--nri=${to}` }];
  await kubectl(['patch', '-n', AGENT_NAMESPACE, DAEMON_SET, '--type=json', '-p', JSON.stringify(patch)]);
  await kubectl(['rollout', 'status', '-n', AGENT_NAMESPACE, DAEMON_SET, '--timeout=90s']);
  return readyAgent();
}

const AT_ARGS = ['spec', 'template', 'spec', 'containers', 0, 'args'] as const;
