import { expect, it } from 'vitest';
import type { Watched } from '../agent/agent.ts';
import { agentOverFakes, meshPod } from '../agent/fake-agent.ts';
import { startFakeNriRuntime } from '../sandbox/nri/fake-nri-runtime.ts';
import { runtimeHooks } from './run-hooks.ts';

/** A collection that is known and does not change. */
function known<T>(objects: Readonly<Record<string, T>>): Watched<T> {
  const store = new Map(Object.entries(objects));
  return {
    get: (key) => store.get(key),
    values: () => store.values(),
    failingForMs: () => 0,
    run: () => Promise.resolve(),
  };
}

function hooksWith(nri: 'auto' | 'off', nriSocket: string) {
  return runtimeHooks({
    ...agentOverFakes(),
    config: { nri, nriSocket },
    pods: known({ 'default/a': meshPod() }),
    namespaces: known({ default: { name: 'default', annotations: {}, labels: {} } }),
    enrollment: { excludedNamespaces: [], enroll: 'annotated', sidecarName: 'istio-proxy' },
    wake: () => undefined,
  });
}

it('with --nri=auto the agent is a plugin of the runtime, under its name, until it is stopped', async () => {
  const runtime = await startFakeNriRuntime();
  const stop = new AbortController();
  const serving = hooksWith('auto', runtime.socketPath).serve(stop.signal);
  const plugin = await runtime.plugin();
  expect([plugin.name, plugin.index, plugin.events]).toEqual(['istio-pod-network-controller', '10', 0x0f]);
  stop.abort();
  await serving;
  await runtime.close();
});

it('with --nri=off it does not even look at the socket', async () => {
  const runtime = await startFakeNriRuntime();
  await hooksWith('off', runtime.socketPath).serve(new AbortController().signal);
  expect(runtime.connectionCount()).toBe(0);
  await runtime.close();
});
