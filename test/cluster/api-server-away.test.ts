import { kill } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiserver } from '../../lab/control-plane.ts';
import { ensureDaemon, stopDaemon } from '../../lab/daemon.ts';
import { lab } from '../../lab/paths.ts';
import { type Agent, agentLog, linesAbout, metricsOf, readyAgent } from '../support/cluster-agent.ts';
import { capturedState, connectFrom, requireSandbox, sandboxOf } from '../support/cluster-host.ts';
import { appPod, createPods, getPod, restartsOf, waitReady } from '../support/cluster-pods.ts';
import { at, CAPTURE, createNamespace, deleteNamespaces, MESH, textAt, waitFor } from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-api';
const AWAY_MS = 120_000;
let agent: Agent;

beforeAll(async () => {
  await createNamespace(NAMESPACE, MESH);
  await createPods(NAMESPACE, [appPod('steady'), appPod('struck')]);
  await waitReady(NAMESPACE, ['steady', 'struck']);
  agent = await readyAgent();
});
afterAll(async () => {
  await ensureDaemon(apiserver(lab.bin));
  await deleteNamespaces([NAMESPACE]);
});

describe('an API server that stops for two minutes', () => {
  it('costs nothing: pods run on, even a replaced sandbox is captured, and the watch resumes', async () => {
    const steady = await getPod(NAMESPACE, 'steady');
    const struck = textAt(await getPod(NAMESPACE, 'struck'), 'metadata', 'uid');
    const netns = (await requireSandbox(textAt(steady, 'metadata', 'uid'))).netnsPath;
    const captured = await capturedState(netns);
    const before = await metricsOf(agent);

    await stopDaemon('kube-apiserver');
    const awayUntilMs = performance.now() + AWAY_MS;
    await expectReplacedSandboxCaptured(struck);
    expect((await connectFrom(netns, { uid: 1000, addresses: ['192.0.2.1:80'] }))[0]?.outcome).toBe('connected');
    await delay(awayUntilMs - performance.now());
    const health = await fetch(`http://${agent.ip}:15014/healthz`, { signal: AbortSignal.timeout(5_000) });
    expect(health.status).toBe(200);
    await ensureDaemon(apiserver(lab.bin));
    const backMs = Date.now();

    await createPods(NAMESPACE, [appPod('after')]);
    await waitReady(NAMESPACE, ['after', 'struck']);
    expect(await readyAgent()).toEqual(agent);
    expect(await capturedState(netns)).toEqual(captured);
    const now = await getPod(NAMESPACE, 'steady');
    expect(restartsOf(now)).toBe(restartsOf(steady));
    expect(textAt(now, 'metadata', 'annotations', CAPTURE)).toBe(textAt(steady, 'metadata', 'annotations', CAPTURE));

    const log = await agentLog(agent);
    const [line] = linesAbout(log, 'captured', `${NAMESPACE}/after`);
    const troubles = log.filter(({ message, timeMs }) => message === 'watch interrupted' && timeMs > backMs);
    for (const { timeMs, fields } of troubles) {
      const facts = ['resource', 'error', 'retryInMs'].map((key) => String(at(fields, key)));
      process.stdout.write(`API server back → ${timeMs - backMs} ms: ${facts.join(', ')}\n`);
    }
    process.stdout.write(`API server back → a new pod captured: ${(line?.timeMs ?? Number.NaN) - backMs} ms\n`);
    const after = await metricsOf(agent);
    for (const resource of ['pods', 'namespaces']) {
      const lists =
        after.sum('api_requests_total', { verb: 'list', resource }) -
        before.sum('api_requests_total', { verb: 'list', resource });
      const watches =
        after.sum('api_requests_total', { verb: 'watch', resource }) -
        before.sum('api_requests_total', { verb: 'watch', resource });
      process.stdout.write(`${resource}: ${lists} lists and ${watches} watches asked for meanwhile\n`);
      // The watch goes on where it was; a list would only be needed if the API server had forgotten that point.
      expect(lists, resource).toBeLessThanOrEqual(1);
      expect(watches, resource).toBeLessThanOrEqual(60);
    }
    await waitFor('the report of the new sandbox, which could not be written before', reportOfStruck, {
      timeoutMs: 60_000,
    });
  });
});

/** kubelet needs no API server to make a pod's sandbox anew, and neither does the agent to capture it. */
async function expectReplacedSandboxCaptured(uid: string): Promise<void> {
  const before = await requireSandbox(uid);
  kill(before.pid, 'SIGKILL');
  await waitFor(
    'the new sandbox is captured',
    async () => {
      const now = await sandboxOf(uid);
      if (now === undefined || now.id === before.id) return false;
      return / ready [0-9a-f]{16}$/.test((await capturedState(now.netnsPath)).mark);
    },
    { timeoutMs: 60_000 },
  );
}

async function reportOfStruck(): Promise<boolean> {
  const pod = await getPod(NAMESPACE, 'struck');
  const sandbox = await requireSandbox(textAt(pod, 'metadata', 'uid'));
  return textAt(pod, 'metadata', 'annotations', CAPTURE).includes(sandbox.id);
}
