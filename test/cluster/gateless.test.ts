import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { network } from '../../lab/paths.ts';
import { RUN_FLAGS } from '../../src/config/flags.ts';
import { agentAway, agentMayReturn, readyAgent } from '../support/cluster-agent.ts';
import { capturedState, connectFrom, requireSandbox } from '../support/cluster-host.ts';
import { appPod, createPods, getPod, statusOf, waitReady } from '../support/cluster-pods.ts';
import {
  at,
  createNamespace,
  deleteNamespaces,
  INITIALIZE,
  kubectl,
  listAt,
  MESH,
  STATUS,
  textAt,
  waitFor,
} from '../support/cluster.ts';
import { type ChartCarrier, installedCarrier, useCarrier } from '../support/gate-carriers.ts';

const MESH_NAMESPACE = 'pnc-test-gateless';
const PLAIN = 'pnc-test-gateless-plain';
const LABEL = 'pod-network-controller.istio.io/nri-validator';
const PLUGIN = 'istio-pod-network-controller';
const REQUIRED = 'required-plugins.noderesource.dev';
/** Kubelet tries again every ten seconds or so. */
const RETRIED = { timeoutMs: 60_000, intervalMs: 500 };

const withoutNri = !('nri' in RUN_FLAGS);
if (withoutNri) process.stderr.write('skipped: pods without a gate that start, for this agent has no NRI plugin\n');

let before: ChartCarrier;

beforeAll(async () => {
  before = await installedCarrier();
  await useCarrier('webhook', 'runtime');
  await createNamespace(MESH_NAMESPACE, MESH);
  await createNamespace(PLAIN, {});
});
afterAll(async () => {
  await agentMayReturn();
  await label('-');
  await deleteNamespaces([MESH_NAMESPACE, PLAIN]);
  await useCarrier(before);
  await readyAgent();
});

describe('the validator of the runtime', () => {
  it('holds back a pod that requires a plugin which nobody has, and no other', async () => {
    const required = { [REQUIRED]: '["nobody-has-this"]' };
    await createPods(PLAIN, [appPod('held', { annotations: required }), appPod('free')]);
    await waitReady(PLAIN, ['free'], 30_000);
    expect(await refusalOf(PLAIN, 'held', 'app')).toContain('required plugin "nobody-has-this" not present');
  });
});

describe('a pod without a gate, on a node without the label', () => {
  it('is not scheduled, and says why', async () => {
    await createPods(MESH_NAMESPACE, [appPod('nowhere')]);
    const message = await waitFor(
      'the scheduler says so',
      async () => {
        const conditions = listAt(await getPod(MESH_NAMESPACE, 'nowhere'), 'status', 'conditions');
        const scheduled = conditions.find((condition) => at(condition, 'type') === 'PodScheduled');
        return at(scheduled, 'status') === 'False' ? textAt(scheduled, 'message') : undefined;
      },
      RETRIED,
    );
    expect(message).toMatch(/didn't match Pod's node affinity\/selector/);
  });
});

describe('while the agent is away', () => {
  let sandbox: string;

  beforeAll(async () => {
    await label('=true');
    await agentAway();
    await createPods(MESH_NAMESPACE, [appPod('waits')]);
    await createPods(PLAIN, [appPod('beside')]);
  });

  it('an unmeshed pod starts', async () => {
    await waitReady(PLAIN, ['beside'], 30_000);
  });

  it('the runtime creates no container of it, and names the plugin', async () => {
    expect(await refusalOf(MESH_NAMESPACE, 'waits', 'istio-proxy')).toContain(
      `required plugin "${PLUGIN}" not present`,
    );
    const pod = await getPod(MESH_NAMESPACE, 'waits');
    expect(initsOf(pod)).toEqual(['istio-proxy']);
    const started = [...listAt(pod, 'status', 'initContainerStatuses'), ...listAt(pod, 'status', 'containerStatuses')];
    expect(started.map((status) => at(status, 'containerID'))).toEqual(started.map(() => undefined));
    ({ id: sandbox } = await requireSandbox(textAt(pod, 'metadata', 'uid')));
  });

  it.skipIf(withoutNri)(
    'starts it captured when the agent is back, in the sandbox that is older than that',
    async () => {
      await agentMayReturn();
      await waitReady(MESH_NAMESPACE, ['waits']);
      const pod = await getPod(MESH_NAMESPACE, 'waits');
      expect((await requireSandbox(textAt(pod, 'metadata', 'uid'))).id).toBe(sandbox);
      await isCaptured(pod);
    },
  );
});

describe.skipIf(withoutNri)('while the agent is there', () => {
  const CLASSIC = { 'sidecar.istio.io/nativeSidecar': 'false' };

  beforeAll(async () => {
    await agentMayReturn();
    await readyAgent();
    await createPods(MESH_NAMESPACE, [appPod('native'), appPod('classic', { annotations: CLASSIC })]);
  });

  it.each([
    ['native', ['istio-proxy']],
    ['classic', []],
  ])('a pod with a %s sidecar runs with no init container but that, captured', async (name, inits) => {
    await waitReady(MESH_NAMESPACE, [name]);
    const pod = await getPod(MESH_NAMESPACE, name);
    expect(initsOf(pod)).toEqual(inits);
    await isCaptured(pod);
    expect(textAt(pod, 'metadata', 'annotations', STATUS)).toBe('initialized');
  });

  it('one whose settings cannot be used is refused by the plugin, which says why', async () => {
    const wrong = { 'pod-network-controller.istio.io/envoy-port': 'x' };
    await createPods(MESH_NAMESPACE, [appPod('wrong', { annotations: wrong })]);
    expect(await refusalOf(MESH_NAMESPACE, 'wrong', 'istio-proxy')).toContain('envoy-port');
  });

  it('one that opted out starts without it', async () => {
    await createPods(MESH_NAMESPACE, [
      appPod('out', { annotations: { [INITIALIZE]: 'false', 'sidecar.istio.io/inject': 'false' } }),
    ]);
    await waitReady(MESH_NAMESPACE, ['out'], 30_000);
  });
});

/** What kubelet says of a container that the runtime does not create. */
async function refusalOf(namespace: string, name: string, container: string): Promise<string> {
  return waitFor(
    `${name}: the runtime refuses ${container}`,
    async () => {
      const waiting = at(statusOf(await getPod(namespace, name), container), 'state', 'waiting');
      return textAt(waiting, 'reason') === 'CreateContainerError' ? textAt(waiting, 'message') : undefined;
    },
    RETRIED,
  );
}

async function isCaptured(pod: unknown): Promise<void> {
  const { netnsPath } = await requireSandbox(textAt(pod, 'metadata', 'uid'));
  expect((await capturedState(netnsPath)).mark).toMatch(/ ready [0-9a-f]{16}$/);
  const [connect] = await connectFrom(netnsPath, { uid: 1000, addresses: ['192.0.2.1:80'] });
  expect(connect?.outcome).toBe('connected');
}

function initsOf(pod: unknown): readonly string[] {
  return listAt(pod, 'spec', 'initContainers').map((one) => textAt(one, 'name'));
}

async function label(change: '=true' | '-'): Promise<void> {
  await kubectl(['label', 'node', network.nodeName, `${LABEL}${change}`, ...(change === '-' ? [] : ['--overwrite'])]);
}
