import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nriSocket } from '../../lab/paths.ts';
import { startProcess, stopProcess } from '../../lab/restart.ts';
import { recordHooks } from '../../src/sandbox/nri/fake-hooks.ts';
import { runPlugin } from '../../src/sandbox/nri/plugin.ts';
import { requireSandbox } from '../support/cluster-host.ts';
import { appPod, createPods, getPod, waitReady } from '../support/cluster-pods.ts';
import {
  createNamespace,
  deleteNamespaces,
  kubectl,
  kubectlJson,
  listAt,
  textAt,
  waitFor,
} from '../support/cluster.ts';
import { keepsTheNriContract, type RuntimeWithPods } from '../support/nri-contract.ts';

const NAMESPACE = 'pnc-test-nri-wire';

/** Beside the agent, which is a plugin of its own. */
const pods: RuntimeWithPods = {
  socketPath: nriSocket,
  startPod: async (name) => {
    await createPods(NAMESPACE, [appPod(name)]);
    return { uid: textAt(await getPod(NAMESPACE, name), 'metadata', 'uid'), namespace: NAMESPACE };
  },
  runs: (name) => waitReady(NAMESPACE, [name]),
  complaint: async (name) => {
    const selector = `--field-selector=involvedObject.name=${name},type=Warning`;
    const events = listAt(await kubectlJson(['get', 'events', '-n', NAMESPACE, selector]), 'items');
    const messages = events.map((event) => textAt(event, 'message')).filter((message) => message.includes('NRI'));
    if (messages[0] !== undefined) process.stdout.write(`${messages[0]}\n`);
    return messages[0];
  },
  endPod: async (name) => {
    await kubectl(['delete', 'pod', '-n', NAMESPACE, name, '--wait=false']);
  },
};

beforeAll(() => createNamespace(NAMESPACE));
afterAll(() => deleteNamespaces([NAMESPACE]));

describe("the lab's containerd", () => {
  keepsTheNriContract(() => pods);

  it('tells the netns that the kernel has for the pod', async () => {
    const told: string[] = [];
    const recorded = recordHooks({
      runPodSandbox: async ({ podName, netnsPath }) => {
        if (podName === 'subject') told.push(netnsPath ?? '');
      },
    });
    await whileConnected(recorded, async () => {
      await createPods(NAMESPACE, [appPod('subject')]);
      await waitReady(NAMESPACE, ['subject']);
    });
    const { netnsPath } = await requireSandbox(textAt(await getPod(NAMESPACE, 'subject'), 'metadata', 'uid'));
    expect(told).toEqual([netnsPath]);
    expect(readdirSync('/var/run/netns')).toContain(basename(netnsPath));
  });

  it('gets us back when it was restarted, and tells again what runs', async () => {
    const recorded = recordHooks();
    await whileConnected(recorded, async () => {
      await stopProcess('containerd');
      await waitFor('the loss is seen', async () => recorded.observed.includes('lost'), { timeoutMs: 10_000 });
      await startProcess('containerd');
      await waitFor('synchronized again', async () => recorded.synchronizations.length === 2, { timeoutMs: 10_000 });
    });
    const [before, after] = recorded.synchronizations;
    expect(after?.sandboxes.map(({ id }) => id).toSorted()).toEqual(before?.sandboxes.map(({ id }) => id).toSorted());
    expect(recorded.observed).toEqual(['connected', 'lost', 'connected']);
  });
});

async function whileConnected(recorded: ReturnType<typeof recordHooks>, act: () => Promise<void>): Promise<void> {
  const abort = new AbortController();
  const running = runPlugin({ ...recorded, socketPath: nriSocket, name: 'wire-test', index: '20' }, abort.signal);
  try {
    await waitFor('synchronized', async () => recorded.synchronizations.length > 0, { timeoutMs: 10_000 });
    await act();
  } finally {
    abort.abort();
    await running;
  }
}
