import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RecordedHooks, recordHooks } from '../../src/sandbox/nri/fake-hooks.ts';
import type { ToldContainer, ToldSandbox } from '../../src/sandbox/nri/plugin-hooks.ts';
import { runPlugin } from '../../src/sandbox/nri/plugin.ts';
import { waitFor } from './cluster.ts';

/** A runtime with something that makes it start pods. */
export interface RuntimeWithPods {
  readonly socketPath: string;
  /** Asks for a pod with one container; does not wait for it. The uid is the one kubelet knows the pod by. */
  startPod(name: string): Promise<{ readonly uid: string; readonly namespace: string }>;
  /** Resolves when the pod's container runs. */
  runs(name: string): Promise<void>;
  /** What was said, to those who look after the pod, about its container not being created. Undefined: nothing yet. */
  complaint(name: string): Promise<string | undefined>;
  /** Ends the pod; does not wait for what is left of it. */
  endPod(name: string): Promise<void>;
}

const OBJECTION = 'the wire test does not want this container';
/** Kubelet tries a refused container again after 10 s, and removes what is left of a pod once a minute. */
const SOON_MS = 40_000;
const REMOVED_WITHIN_MS = 150_000;

/** What holds for every runtime with NRI: the same checks for the fake one of the tests and for a real one. */
export function keepsTheNriContract(runtime: () => RuntimeWithPods): void {
  const abort = new AbortController();
  const sandboxes: ToldSandbox[] = [];
  const containers: ToldContainer[] = [];
  const unwanted = new Set<string>();
  const endless = new Set<string>();
  let recorded: RecordedHooks;
  let running: Promise<void>;
  let earlierUid = '';

  const sandboxOf = (name: string) => sandboxes.find(({ podName }) => podName === name);
  const called = (call: string) =>
    waitFor(call, async () => recorded.calls.includes(call), { timeoutMs: SOON_MS, intervalMs: 20 });

  beforeAll(async () => {
    recorded = recordHooks({
      runPodSandbox: async (sandbox) => {
        sandboxes.push(sandbox);
        if (endless.has(sandbox.podName)) await new Promise<never>(() => {});
      },
      createContainer: async ({ podName }, container) => {
        containers.push(container);
        return unwanted.has(podName) ? OBJECTION : undefined;
      },
    });
    earlierUid = (await runtime().startPod('earlier')).uid;
    await runtime().runs('earlier');
    const { socketPath } = runtime();
    running = runPlugin({ ...recorded, socketPath, name: 'wire-test', index: '20' }, abort.signal);
    await called('synchronized');
  });
  afterAll(async () => {
    abort.abort();
    await running;
  });

  it('tells who it is, and what runs already', () => {
    const [told] = recorded.synchronizations;
    expect(told?.runtime.name).not.toBe('');
    expect(told?.runtime.version).not.toBe('');
    const sandbox = told?.sandboxes.find(({ podUid }) => podUid === earlierUid);
    expect(sandbox).toMatchObject({ podName: 'earlier', labels: { app: 'earlier' } });
    expect(sandbox?.netnsPath).toMatch(/^\//);
    const own = told?.containers.filter(({ sandboxId }) => sandboxId === sandbox?.id);
    expect(own?.map(({ name, state }) => ({ name, state }))).toEqual([{ name: 'app', state: 'running' }]);
  });

  it('tells of a new pod, with its netns, before there is a container', async () => {
    const { uid, namespace } = await runtime().startPod('new');
    await runtime().runs('new');
    const calls = recorded.calls.filter((call) => /^\S+ new\b/.test(call));
    expect(calls).toEqual(['runPodSandbox new', 'createContainer new/app']);
    const sandbox = sandboxOf('new');
    expect(sandbox).toMatchObject({ podUid: uid, podNamespace: namespace, labels: { app: 'new' } });
    expect(sandbox?.netnsPath).toMatch(/^\/.*netns\//);
    expect(sandbox?.ips.length).toBeGreaterThan(0);
    expect(sandbox?.pid).toBeGreaterThan(0);
    expect(containers.at(-1)).toMatchObject({ sandboxId: sandbox?.id, name: 'app' });
  });

  it('does not create a container that is objected to, says why, and creates it when it is not any more', async () => {
    unwanted.add('unwanted');
    await runtime().startPod('unwanted');
    const complaint = await waitFor('a complaint', () => runtime().complaint('unwanted'), { timeoutMs: SOON_MS });
    expect(complaint).toContain(OBJECTION);
    unwanted.delete('unwanted');
    await runtime().runs('unwanted');
    // One sandbox all along: nothing was torn down.
    expect(sandboxes.filter(({ podName }) => podName === 'unwanted').length).toBe(1);
  });

  it('goes on without waiting for a hook that does not end, and stays connected', async () => {
    endless.add('endless');
    await runtime().startPod('endless');
    await runtime().runs('endless');
    const late = recorded.answers.filter(({ outcome }) => outcome === 'late');
    expect(late.map(({ hook }) => hook)).toEqual(['runPodSandbox']);
    expect(late[0]?.durationMs).toBeGreaterThan(1_000);
    expect(late[0]?.durationMs).toBeLessThan(2_000);
    expect(recorded.observed).toEqual(['connected']);
  });

  it('tells that a sandbox is stopped, and removed', async () => {
    const id = sandboxOf('new')?.id ?? '';
    await runtime().endPod('new');
    await called(`stopPodSandbox ${id}`);
    const isRemoved = async () => recorded.calls.includes(`removePodSandbox ${id}`);
    await waitFor('the sandbox is removed', isRemoved, { timeoutMs: REMOVED_WITHIN_MS });
  });
}
