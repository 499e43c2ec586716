import { describe, expect, it } from 'vitest';
import { ControllerError } from '../errors.ts';
import type { ToldSandbox } from '../sandbox/nri/plugin-hooks.ts';
import { hookedAgent, meshPod, sandbox, toldSandbox } from './fake-agent.ts';

const CALL = { deadlineMs: 1_600 };
const GATELESS = { id: 'c1', sandboxId: 's1', name: 'app', state: 'unknown' } as const;
const plain = (id: string) => toldSandbox(id, { annotations: {} });

describe('RunPodSandbox', () => {
  it('captures before it answers; people are told afterwards, by the queue', async () => {
    const { world, hooks, answered, turn } = hookedAgent();
    await hooks.runPodSandbox(toldSandbox('s1'), CALL);
    expect(world.marked).toEqual(['/var/run/netns/s1']);
    expect([world.patches, world.notices, world.listed]).toEqual([[], [], 0]);
    expect(answered()).toEqual(['default/a']);
    await turn();
    expect(world.patches).toHaveLength(1);
    expect(world.notices.map(({ reason }) => reason)).toEqual(['Captured']);
    expect([world.begun.length, world.listed]).toEqual([1, 0]);
  });

  it('returns at once for a pod that cannot be ours: nothing is looked up, entered or queued', async () => {
    const { world, hooks, answered, expectedPods } = hookedAgent();
    world.pods.clear();
    await hooks.runPodSandbox(plain('s1'), CALL);
    await hooks.runPodSandbox(toldSandbox('s2', { netnsPath: undefined }), CALL);
    expect([world.begun, answered(), expectedPods]).toEqual([[], [], []]);
  });

  it('decides by the pod itself where the sandbox shows too little', async () => {
    const { world, hooks } = hookedAgent();
    const pod = meshPod();
    world.pods.set('default/a', { ...pod, containers: pod.containers.slice(0, 1) });
    await hooks.runPodSandbox(toldSandbox('s1'), CALL);
    expect([world.begun, world.decisions]).toEqual([[], ['NoSidecar']]);
  });

  it('answers although the capture fails, and leaves another try to the queue', async () => {
    const { world, hooks, answered } = hookedAgent();
    world.beginError = new ControllerError('ProofFailed', 'no');
    await hooks.runPodSandbox(toldSandbox('s1'), CALL);
    expect(answered()).toEqual(['default/a']);
  });

  it('does not capture twice what the queue was quicker with', async () => {
    const { world, hooks, turn } = hookedAgent();
    world.sandboxes = [sandbox('s1')];
    await Promise.all([turn(), hooks.runPodSandbox(toldSandbox('s1'), CALL)]);
    expect(world.begun).toHaveLength(1);
  });

  it('leaves a policy that depends on the name servers to CreateContainer, when CRI knows them', async () => {
    const { world, hooks } = hookedAgent();
    world.pods.set('default/a', meshPod({ dnsCapture: true }));
    await hooks.runPodSandbox(toldSandbox('s1'), CALL);
    expect([world.begun, world.nameserversAsked]).toEqual([[], 0]);
    world.nameservers.set('s1', ['198.51.100.53']);
    expect(await hooks.createContainer(toldSandbox('s1'), GATELESS, CALL)).toBeUndefined();
    expect([world.begun.length, world.nameserversAsked]).toEqual([1, 1]);
  });
});

describe('the name servers', () => {
  it('of a pod that says them itself are asked of nobody', async () => {
    const { world, hooks } = hookedAgent();
    world.pods.set('default/a', { ...meshPod({ dnsCapture: true }), nameservers: ['198.51.100.53'] });
    await hooks.runPodSandbox(toldSandbox('s1'), CALL);
    expect([world.begun.length, world.nameserversAsked]).toEqual([1, 0]);
  });
});

describe('CreateContainer', () => {
  it('of a captured pod is a look at the memo', async () => {
    const { world, hooks, answered } = hookedAgent();
    await hooks.runPodSandbox(toldSandbox('s1'), CALL);
    answered();
    expect(await hooks.createContainer(toldSandbox('s1'), GATELESS, CALL)).toBeUndefined();
    expect([world.begun.length, answered()]).toEqual([1, []]);
  });

  it('captures first where the sandbox is older than the connection', async () => {
    const { world, hooks } = hookedAgent();
    expect(await hooks.createContainer(toldSandbox('s1'), GATELESS, CALL)).toBeUndefined();
    expect(world.marked).toEqual(['/var/run/netns/s1']);
  });

  it('is refused with the reason while capture fails, and tries again by itself', async () => {
    const { world, hooks } = hookedAgent();
    world.beginError = new ControllerError('ProofFailed', 'a connect was not redirected');
    expect(await hooks.createContainer(toldSandbox('s1'), GATELESS, CALL)).toMatch(/ProofFailed: a connect was not/);
    world.beginError = undefined;
    expect(await hooks.createContainer(toldSandbox('s1'), GATELESS, CALL)).toBeUndefined();
    expect(world.marked).toHaveLength(1);
  });

  it('is refused for settings that cannot be used, which are written into the netns too', async () => {
    const { world, hooks } = hookedAgent();
    world.pods.set(
      'default/a',
      meshPod({ annotations: { 'traffic.sidecar.istio.io/excludeOutboundPorts': '80;443' } }),
    );
    await hooks.runPodSandbox(toldSandbox('s1'), CALL);
    expect(world.refusals).toHaveLength(1);
    const text = await hooks.createContainer(toldSandbox('s1'), GATELESS, CALL);
    expect(text).toMatch(/InvalidCapturePolicy: .*excludeOutboundPorts.*80;443/);
    expect(world.refusals).toHaveLength(1);
  });

  it('of a pod that was captured before its settings became unusable is not refused: its rules still stand', async () => {
    const { world, hooks } = hookedAgent();
    world.pods.set(
      'default/a',
      meshPod({ annotations: { 'traffic.sidecar.istio.io/excludeOutboundPorts': '80;443' } }),
    );
    world.refusal = 'keptReady';
    for (const _restart of [1, 2]) {
      expect(await hooks.createContainer(toldSandbox('s1'), GATELESS, CALL)).toBeUndefined();
    }
  });

  it('of a pod that is not seen is refused only where the sandbox says that it takes part', async () => {
    const { world, hooks } = hookedAgent();
    world.pods.clear();
    world.namespaces.set('default', { name: 'default', labels: {}, annotations: toldSandbox('').annotations });
    expect(await hooks.createContainer(toldSandbox('s1'), GATELESS, CALL)).toContain('PodUnseen');
    expect(await hooks.createContainer(plain('s2'), GATELESS, CALL)).toBeUndefined();
  });

  it('asks the runtime for a netns that the hook did not name', async () => {
    const { world, hooks } = hookedAgent();
    world.sandboxes = [sandbox('s1')];
    expect(await hooks.createContainer(toldSandbox('s1', { netnsPath: undefined }), GATELESS, CALL)).toBeUndefined();
    expect(world.marked).toEqual(['/var/run/netns/s1']);
  });

  it('must be decided only where a container would run without rules', async () => {
    const { world, hooks } = hookedAgent();
    const must = (told: ToldSandbox) => hooks.mustDecide(told);
    expect([must(toldSandbox('s1')), must(plain('s1'))]).toEqual([true, false]);
    const pod = meshPod();
    const [app] = pod.containers;
    if (app === undefined) throw new Error('the pod has no container');
    world.pods.set('default/a', { ...pod, initContainers: [{ ...app, name: 'istio-pod-network-controller-gate' }] });
    expect(must(toldSandbox('s1'))).toBe(false);
    world.pods.set('default/a', { ...pod, containers: [app] });
    expect(must(toldSandbox('s1'))).toBe(false);
    world.pods.set('default/a', pod);
    await hooks.runPodSandbox(toldSandbox('s1'), CALL);
    expect(must(toldSandbox('s1'))).toBe(false);
    world.pods.clear();
    expect(must(toldSandbox('s2'))).toBe(true);
  });
});

describe('Synchronize', () => {
  it('queues the pods that may be ours, and no other', () => {
    const { hooks, answered } = hookedAgent();
    const sandboxes = [toldSandbox('s1'), { ...plain('s2'), podName: 'b' }];
    hooks.synchronized({ sandboxes, containers: [], runtime: { name: 'containerd', version: '2' } });
    expect(answered()).toEqual(['default/a']);
  });

  it('answers their turns from what was told, without CRI', async () => {
    const { world, hooks, turn } = hookedAgent();
    hooks.synchronized({
      sandboxes: [toldSandbox('s1')],
      containers: [],
      runtime: { name: 'containerd', version: '2' },
    });
    await turn();
    expect([world.marked, world.listed]).toEqual([['/var/run/netns/s1'], 0]);
  });
});

describe('a sandbox that is stopped', () => {
  it('wakes its pod, which then waits for the next one', async () => {
    const { world, hooks, answered, turn } = hookedAgent();
    await hooks.runPodSandbox(toldSandbox('s1'), CALL);
    answered();
    hooks.stopPodSandbox('s1');
    expect(answered()).toEqual(['default/a']);
    await turn();
    expect(world.expected).toEqual(['default/a']);
    await hooks.runPodSandbox(toldSandbox('s2'), CALL);
    expect(world.marked).toEqual(['/var/run/netns/s1', '/var/run/netns/s2']);
  });
});
