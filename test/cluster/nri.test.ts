import { kill } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENT_IMAGE } from '../../lab/bookinfo/build.ts';
import { command, tryCommand } from '../../lab/command.ts';
import { containerdSocket, lab } from '../../lab/paths.ts';
import { restartProcess } from '../../lab/restart.ts';
import {
  agentAway,
  agentLog,
  agentMayReturn,
  connectedAgent,
  linesAbout,
  metricsOf,
  readyAgent,
} from '../support/cluster-agent.ts';
import { capturedState, escapesTo, requireSandbox, sandboxOf } from '../support/cluster-host.ts';
import {
  appPod,
  container,
  createPods,
  getPod,
  handMadeGate,
  logOf,
  OUTSIDE,
  standInSidecar,
  stateOf,
  waitReady,
} from '../support/cluster-pods.ts';
import { policyOff } from '../support/cluster-policy-off.ts';
import {
  at,
  createNamespace,
  deleteNamespaces,
  INITIALIZE,
  kubectl,
  kubectlJson,
  listAt,
  textAt,
  waitFor,
} from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-nri';
const WANTED = { [INITIALIZE]: 'true' };
const LATE_IMAGE = 'docker.io/istio-pod-network-controller/not-yet:nri';
const CTR = [`${lab.bin}/ctr`, '--address', containerdSocket, '--namespace', 'k8s.io'];
const STANDS_STILL_MS = 5_000;
const LOAD = Array.from({ length: 8 }, (_, index) => `load-${index}`);

let policyOn: () => Promise<void> = () => Promise.resolve();

beforeAll(async () => {
  await createNamespace(NAMESPACE);
  // Only the runtime's hooks stand between these pods and a start without rules: they have no gate, and no policy that asks for one.
  policyOn = await policyOff('istio-pod-network-controller-gated', {
    namespace: NAMESPACE,
    refused: gateless('probe'),
  });
});

afterAll(async () => {
  await policyOn();
  await agentMayReturn();
  await tryCommand([...CTR, 'images', 'remove', LATE_IMAGE]);
  await deleteNamespaces([NAMESPACE]);
  await readyAgent();
});

describe('a pod without a gate', () => {
  it('is captured before its first container, whose first act is a connect', async () => {
    const before = await metricsOf(await connectedAgent());
    const escapes = await escapesToOutside();
    await createPods(NAMESPACE, [gateless('first')]);
    await waitReady(NAMESPACE, ['first']);
    expect(await outcomes('first')).toEqual(OUTSIDE.map(() => 'ECONNREFUSED'));
    expect(await escapesToOutside()).toEqual(escapes);
    const after = await metricsOf(await readyAgent());
    const captured = { hook: 'RunPodSandbox', result: 'captured' };
    expect(after.sum('nri_pods_total', captured) - before.sum('nri_pods_total', captured)).toBe(1);
    const [line] = linesAbout(await agentLog(await readyAgent()), 'captured', `${NAMESPACE}/first`);
    process.stdout.write(
      `in the netns ${JSON.stringify(at(line?.fields, 'timingsMs'))}, hook ${(after.sum('nri_run_pod_sandbox_duration_seconds_sum') - before.sum('nri_run_pod_sandbox_duration_seconds_sum')).toFixed(4)} s\n`,
    );
  });

  it('whose sandbox was made while the agent was away is captured before its first container all the same', async () => {
    await agentAway();
    await createPods(NAMESPACE, [gateless('older', { image: LATE_IMAGE })]);
    const uid = textAt(await getPod(NAMESPACE, 'older'), 'metadata', 'uid');
    const sandbox = await waitFor('the sandbox', () => sandboxOf(uid), { timeoutMs: 30_000 });
    expect((await capturedState(sandbox.netnsPath)).mark).toBe('');
    const escapes = await escapesToOutside();
    await agentMayReturn();
    await connectedAgent();
    await command([...CTR, 'images', 'tag', CLIENT_IMAGE, LATE_IMAGE]);
    await waitReady(NAMESPACE, ['older']);
    expect(await outcomes('older')).toEqual(OUTSIDE.map(() => 'ECONNREFUSED'));
    expect(await escapesToOutside()).toEqual(escapes);
  });

  it('whose settings cannot be used gets no container, and its Events say why', async () => {
    await connectedAgent();
    const annotations = { 'traffic.sidecar.istio.io/excludeOutboundPorts': '443,https' };
    await createPods(NAMESPACE, [gateless('wrong', { annotations }), await gated('wrong-gated', annotations)]);
    const text = await waitFor(
      'kubelet says why',
      async () => (await eventsOf('wrong')).find((note) => note.includes('traffic capture is not in place')),
      { timeoutMs: 60_000 },
    );
    process.stdout.write(`kubelet: ${text}\n`);
    for (const part of ['InvalidCapturePolicy', 'excludeOutboundPorts', 'https', '65535']) expect(text).toContain(part);
    expect(stateOf(await getPod(NAMESPACE, 'wrong'), 'eager')).toBe('waiting');
    // With a gate it is the gate that explains, and waits.
    const gate = 'istio-pod-network-controller-gate';
    await waitFor('the gate runs', async () => stateOf(await getPod(NAMESPACE, 'wrong-gated'), gate) === 'running', {
      timeoutMs: 30_000,
    });
    expect((await eventsOf('wrong-gated')).filter((note) => note.includes('not in place'))).toEqual([]);
    // Without an agent nothing holds the first one back, and the next test has none for a while.
    await kubectl(['delete', 'pod', '-n', NAMESPACE, '--timeout=60s', 'wrong', 'wrong-gated']);
  });
});

describe('an agent that stands still', () => {
  it('holds no pod up longer than the runtime waits, and is back by itself', async () => {
    const agent = await connectedAgent();
    const names = ['still-0', 'still-1', 'still-2'];
    kill(agent.pid, 'SIGSTOP');
    const stoppedMs = performance.now();
    try {
      await createPods(
        NAMESPACE,
        names.map((name) => appPod(name)),
      );
      await waitReady(NAMESPACE, names, 30_000);
      process.stdout.write(`three unmeshed pods Ready after ${Math.round(performance.now() - stoppedMs)} ms\n`);
      await delay(Math.max(0, STANDS_STILL_MS - (performance.now() - stoppedMs)));
    } finally {
      kill(agent.pid, 'SIGCONT');
    }
    // It learns that it was dropped a moment after it goes on.
    const metrics = await waitFor(
      'the agent is connected anew',
      async () => {
        const now = await metricsOf(agent);
        const connections = ['lost', 'connected'].map((result) => now.sum('nri_connections_total', { result }));
        return connections.every((count) => count >= 1) && now.sum('nri_connected') === 1 && now;
      },
      { timeoutMs: 30_000 },
    );
    process.stdout.write(
      `${[...metrics.lines('nri_connections_total'), ...metrics.lines('nri_hooks_total')].join('\n')}\n`,
    );
    await expectCapturedInHook('after-still');
  });
});

describe('a runtime that is restarted under load', () => {
  it('finds the agent there again, and no pod starts without rules', async () => {
    await connectedAgent();
    const escapes = await escapesToOutside();
    // With a gate: until the agent is there again, nothing else would hold them back.
    const created = createPods(NAMESPACE, await Promise.all(LOAD.map((name) => gated(name))));
    await restartProcess('containerd');
    await created;
    const agent = await connectedAgent();
    await waitReady(NAMESPACE, LOAD, 180_000);
    process.stdout.write(`${(await metricsOf(agent)).lines('nri_pods_total').join('\n')}\n`);
    for (const name of LOAD) expect(await outcomes(name), name).toEqual(OUTSIDE.map(() => 'ECONNREFUSED'));
    expect(await escapesToOutside()).toEqual(escapes);
    await expectCapturedInHook('after-restart');
  });
});

async function expectCapturedInHook(name: string): Promise<void> {
  const captured = { hook: 'RunPodSandbox', result: 'captured' };
  const before = (await metricsOf(await readyAgent())).sum('nri_pods_total', captured);
  await createPods(NAMESPACE, [gateless(name)]);
  await waitReady(NAMESPACE, [name]);
  expect((await metricsOf(await readyAgent())).sum('nri_pods_total', captured) - before).toBe(1);
  const { netnsPath } = await requireSandbox(textAt(await getPod(NAMESPACE, name), 'metadata', 'uid'));
  expect((await capturedState(netnsPath)).mark).toMatch(/ ready [0-9a-f]{16}$/);
}

function gateless(name: string, options: { image?: string; annotations?: Record<string, string> } = {}): object {
  const { image = CLIENT_IMAGE, annotations = {} } = options;
  const initContainers = [eager(image), standInSidecar()];
  return appPod(name, { annotations: { ...WANTED, ...annotations }, initContainers });
}

async function gated(name: string, annotations: Record<string, string> = {}): Promise<object> {
  const initContainers = [await handMadeGate([]), eager(CLIENT_IMAGE), standInSidecar()];
  return appPod(name, { annotations: { ...WANTED, ...annotations }, initContainers });
}

/** Connects the moment it may run. No proxy listens yet: what is captured is refused at once, what is not gets no answer. */
function eager(image: string): object {
  return container('eager', ['connect', '--timeout-ms=1500', ...OUTSIDE], { image });
}

/** `connected`, ECONNREFUSED, or what else came of each connect of the pod's first container. */
async function outcomes(name: string): Promise<readonly string[]> {
  const text = (await logOf(NAMESPACE, name, 'eager')).at(-1)?.text ?? '[]';
  const results: unknown = JSON.parse(text);
  return OUTSIDE.map((_, index) => {
    if (at(results, index, 'connected') === true) return 'connected';
    const error = textAt(results, index, 'error');
    return error.includes('refused') ? 'ECONNREFUSED' : error;
  });
}

function escapesToOutside(): Promise<readonly number[]> {
  return Promise.all(OUTSIDE.map((address) => escapesTo(address)));
}

async function eventsOf(name: string): Promise<readonly string[]> {
  const events = listAt(await kubectlJson(['get', 'events.v1.events.k8s.io', '-n', NAMESPACE]), 'items');
  return events.filter((event) => textAt(event, 'regarding', 'name') === name).map((event) => textAt(event, 'note'));
}
