import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CaptureEffect, captureEffect } from '../../src/agent/capture-netns.ts';
import { hookedAgent, meshPod } from '../../src/agent/fake-agent.ts';
import { hookMetrics } from '../../src/agent/hook-metrics.ts';
import { type FakeNriRuntime, type FakePlugin, startFakeNriRuntime } from '../../src/sandbox/nri/fake-nri-runtime.ts';
import { runPlugin } from '../../src/sandbox/nri/plugin.ts';
import type { Actor } from '../support/netns-actor-client.ts';
import { createLab, type NetnsLab, POD_V4, SERVICE } from '../support/netns-lab.ts';

/** A runtime calls, over its socket; when it has its answer the kernel already redirects. */
const FAILED_PRECONDITION = 9;
const DROPS = 'table inet drops {\n chain out {\n type filter hook output priority 0\n meta l4proto tcp drop\n }\n}\n';

let capture: CaptureEffect;
let runtime: FakeNriRuntime;
let lab: NetnsLab;
let app: Actor;
let agent: ReturnType<typeof hookedAgent>;
let plugin: FakePlugin;
let running: Promise<void>;
let stop: AbortController;

beforeAll(async () => {
  capture = await captureEffect();
  runtime = await startFakeNriRuntime();
});
afterAll(() => runtime.close());

beforeEach(async () => {
  lab = createLab();
  app = await lab.actor({ uid: 1000, gid: 1000 });
  agent = hookedAgent({ capture });
  stop = new AbortController();
  const { hooks, metrics, log } = agent;
  const observer = hookMetrics(metrics);
  const { socketPath } = runtime;
  running = runPlugin({ socketPath, name: 'test', index: '10', hooks, observer, log }, stop.signal);
  plugin = await runtime.plugin();
});
afterEach(async () => {
  stop.abort();
  await running;
  lab.close();
});

/** As kubelet has the runtime make it. */
function sandboxOf(annotations = meshPod().annotations) {
  return {
    ...{ id: 's1', name: 'a', uid: 'uid-1', namespace: 'default', pid: 1, ips: [POD_V4], annotations },
    linux: { namespaces: [{ type: 'network', path: lab.pod.path }] },
  };
}
const CONTAINER = { id: 'c1', podSandboxId: 's1', name: 'app' };

describe('when the runtime has the answer to RunPodSandbox', () => {
  it('the pod is captured, proven and marked', async () => {
    expect((await plugin.runPodSandbox(sandboxOf())).code).toBe(0);
    expect(await app.readAlias()).toMatch(/ ready [0-9a-f]{16}$/);
    // No proxy listens yet: a redirected connect is refused at once, any other would get no answer.
    expect(await app.connect(SERVICE[4], 80)).toBe('ECONNREFUSED');
    const proxy = await lab.actor({ uid: 1337, gid: 1337 });
    await proxy.listen('proxy', [15001]);
    expect(await app.connect(SERVICE[4], 80)).toBe(`proxy:15001 ${SERVICE[4]}:80`);
    expect(await plugin.createContainer(sandboxOf(), CONTAINER)).toMatchObject({ code: 0 });
  });

  it('a pod that is not ours is as it was', async () => {
    const before = lab.pod.run('nft', 'list', 'ruleset');
    expect((await plugin.runPodSandbox(sandboxOf({}))).code).toBe(0);
    expect((await plugin.createContainer(sandboxOf({}), CONTAINER)).code).toBe(0);
    expect([await app.readAlias(), lab.pod.run('nft', 'list', 'ruleset')]).toEqual(['', before]);
  });
});

describe('a pod that cannot be captured', () => {
  it('gets its sandbox, and no container until it is captured', async () => {
    lab.pod.nft(DROPS);
    expect((await plugin.runPodSandbox(sandboxOf())).code).toBe(0);
    const refused = await plugin.createContainer(sandboxOf(), CONTAINER);
    expect(refused.code).toBe(FAILED_PRECONDITION);
    expect(refused.message).toMatch(/traffic capture is not in place: ProofFailed: a connection to /);
    expect(await app.readAlias()).toMatch(/ refused ProofFailed/);
    lab.pod.nft('delete table inet drops');
    expect((await plugin.createContainer(sandboxOf(), CONTAINER)).code).toBe(0);
    expect(await app.readAlias()).toMatch(/ ready [0-9a-f]{16}$/);
  });
});
