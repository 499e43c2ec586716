import { kill } from 'node:process';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { agentAway, agentLog, agentMayReturn, linesAbout, readyAgent } from '../support/cluster-agent.ts';
import { capturedState, type HostSandbox, requireSandbox, sandboxOf } from '../support/cluster-host.ts';
import {
  appPod,
  container,
  createPods,
  getPod,
  logOf,
  OUTSIDE_IPV4,
  stateOf,
  statusOf,
  waitReady,
} from '../support/cluster-pods.ts';
import {
  at,
  CAPTURE,
  createNamespace,
  deleteNamespaces,
  GATE,
  kubectl,
  MESH,
  STATUS,
  textAt,
  waitFor,
} from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-sandbox';
const NEW_SANDBOX_WITHIN_MS = 60_000;
let pod = '';
let count = 0;

beforeAll(() => createNamespace(NAMESPACE, MESH));
afterAll(async () => {
  await agentMayReturn();
  await deleteNamespaces([NAMESPACE]);
  await readyAgent();
});

beforeEach(async () => {
  count += 1;
  pod = `victim-${count}`;
  // Connects the moment it may run: what it can reach then is what the pod's first instruction can reach.
  const eager = container('eager', ['connect', '--timeout-ms=1500', ...OUTSIDE_IPV4]);
  await createPods(NAMESPACE, [appPod(pod, { initContainers: [eager] })]);
  await waitReady(NAMESPACE, [pod]);
});

describe('a running mesh pod whose sandbox is killed', () => {
  it('gets a new one that is captured before the gate lets go, although the old annotation is still there', async () => {
    const { before, after } = await killSandbox();
    await waitRestarted();
    const { table, mark } = await capturedState(after.netnsPath);
    expect(after.netnsPath).not.toBe(before.netnsPath);
    expect(table).toContain('"redirect"');
    expect(mark).toMatch(/ ready [0-9a-f]{16}$/);

    const captures = linesAbout(await agentLog(await readyAgent()), 'captured', `${NAMESPACE}/${pod}`);
    const captured = captures.find(({ fields }) => at(fields, 'sandbox') === after.id);
    expect(at(captured?.fields, 'action')).toBe('applied');
    const gate = await logOf(NAMESPACE, pod, GATE);
    const passed = gate.at(-1)?.timeMs ?? Number.NaN;
    process.stdout.write(`captured → gate's last line ${passed - (captured?.timeMs ?? Number.NaN)} ms\n`);
    expect(passed - (captured?.timeMs ?? Number.NaN)).toBeGreaterThanOrEqual(-20);
    // Its last instance, in the new sandbox.
    const eager = (await logOf(NAMESPACE, pod, 'eager')).at(-1)?.text ?? '';
    const results: unknown = JSON.parse(eager);
    expect(OUTSIDE_IPV4.map((_, index) => at(results, index, 'connected'))).toEqual([true, true, true]);
    await waitFor('the report names the new sandbox', async () => (await report()).includes(after.id), {
      timeoutMs: 10_000,
    });
  });

  it('waits at the gate for an agent that is away, whatever the old annotation says', async () => {
    await agentAway();
    const { before, after } = await killSandbox();
    await waitFor(
      'the gate runs in the new sandbox',
      async () => stateOf(await getPod(NAMESPACE, pod), GATE) === 'running',
      {
        timeoutMs: 60_000,
      },
    );
    const waits = await waitFor('the gate says that it waits', async () => (await logOf(NAMESPACE, pod, GATE)).at(-1), {
      timeoutMs: 10_000,
    });
    expect(waits.text).toMatch(/wait/i);
    const still = await getPod(NAMESPACE, pod);
    expect(textAt(still, 'metadata', 'annotations', STATUS)).toBe('initialized');
    expect(await report()).toContain(before.id);
    expect(await capturedState(after.netnsPath)).toEqual({ table: '', mark: '' });
    expect(stateOf(still, GATE)).toBe('running');
    await agentMayReturn();
    await waitRestarted();
    expect((await capturedState(after.netnsPath)).mark).toMatch(/ ready [0-9a-f]{16}$/);
    expect(await report()).toContain(after.id);
  });
});

/** Ends the pause process, as a crash of it would; returns the sandbox before and the one kubelet then makes. */
async function killSandbox(): Promise<{ before: HostSandbox; after: HostSandbox }> {
  const uid = textAt(await getPod(NAMESPACE, pod), 'metadata', 'uid');
  const before = await requireSandbox(uid);
  expect(await report()).toContain(before.id);
  kill(before.pid, 'SIGKILL');
  const after = await waitFor(
    'kubelet makes a new sandbox',
    async () => {
      const now = await sandboxOf(uid);
      return now?.id === before.id ? undefined : now;
    },
    { timeoutMs: NEW_SANDBOX_WITHIN_MS },
  );
  return { before, after };
}

/** Ready again, in the new sandbox: for a moment the API server still shows the old one's state. */
async function waitRestarted(): Promise<void> {
  const restarted = async () => Number(at(statusOf(await getPod(NAMESPACE, pod), 'app'), 'restartCount')) > 0;
  await waitFor('the application was started again', restarted, { timeoutMs: 90_000, intervalMs: 250 });
  await waitReady(NAMESPACE, [pod]);
}

/** What the agent reported about the pod. */
async function report(): Promise<string> {
  const path = `jsonpath={.metadata.annotations.${CAPTURE.replaceAll('.', '\\.')}}`;
  return kubectl(['get', 'pod', '-n', NAMESPACE, pod, '-o', path]);
}
