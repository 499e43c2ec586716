import { ContainerState } from './gen/nri_pb.ts';
import { afterAll, beforeAll, describe } from 'vitest';
import { keepsTheNriContract, type RuntimeWithPods } from '../../../test/support/nri-contract.ts';
import { type FakeNriRuntime, type FakePlugin, type FakePod, startFakeNriRuntime } from './fake-nri-runtime.ts';

/** What holds for every runtime; the real one is in `test/cluster/nri-wire.test.ts`. */
describe.each(['StateChange', 'methods'] as const)('a fake runtime that speaks by %s', (speaks) => {
  let runtime: FakeNriRuntime;
  let pods: RuntimeWithPods;
  beforeAll(async () => {
    const earlier = {
      pods: [podNamed('earlier')],
      containers: [containerOf('earlier', ContainerState.CONTAINER_RUNNING)],
    };
    runtime = await startFakeNriRuntime({ speaks, parts: [earlier] });
    pods = createPods(runtime);
  });
  afterAll(() => runtime.close());
  keepsTheNriContract(() => pods);
});

/** What kubelet and the API server are to a real runtime. */
function createPods(runtime: FakeNriRuntime): RuntimeWithPods {
  const complaints = new Map<string, string>();
  const running = new Map<string, Promise<void>>();
  let connected: Promise<FakePlugin> | undefined;
  const plugin = () => (connected ??= runtime.plugin());

  async function bringUp(name: string): Promise<void> {
    const pod = podNamed(name);
    await (await plugin()).runPodSandbox(pod);
    for (;;) {
      const { code, message } = await (await plugin()).createContainer(
        pod,
        containerOf(name, ContainerState.CONTAINER_UNKNOWN),
      );
      if (code === 0) return;
      complaints.set(name, message);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  return {
    socketPath: runtime.socketPath,
    startPod: async (name) => {
      // Before there is a plugin: it is in what Synchronize tells.
      running.set(name, name === 'earlier' ? Promise.resolve() : bringUp(name));
      return { uid: `uid-${name}`, namespace: 'shop' };
    },
    runs: async (name) => await running.get(name),
    complaint: async (name) => complaints.get(name),
    endPod: async (name) => {
      await (await plugin()).stopPodSandbox(podNamed(name));
      await (await plugin()).removePodSandbox(podNamed(name));
    },
  };
}

function podNamed(name: string): FakePod {
  return {
    id: `sandbox-${name}`,
    name,
    uid: `uid-${name}`,
    namespace: 'shop',
    labels: { app: name },
    linux: { namespaces: [{ type: 'network', path: `/var/run/netns/cni-${name}` }] },
    pid: 4_711,
    ips: ['192.0.2.7'],
  };
}

function containerOf(name: string, state: ContainerState) {
  return { id: `container-${name}`, podSandboxId: `sandbox-${name}`, name: 'app', state };
}
