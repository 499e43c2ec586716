import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capturedState, requireSandbox } from '../support/cluster-host.ts';
import {
  appPod,
  createPods,
  getPod,
  handMadeGate,
  logOf,
  standInSidecar,
  statusOf,
  waitReady,
} from '../support/cluster-pods.ts';
import { at, createNamespace, deleteNamespaces, GATE, INITIALIZE, STATUS, textAt } from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-annotation';
/** kubelet refreshes a downward API file when it next looks at the pod: within a minute or so, usually at once. */
const FILE_WITHIN_MS = 120_000;

/** The command line of the original's users, then the same with a word on which gate is meant. */
const CASES = [
  { name: 'original', args: [] },
  { name: 'by-annotation', args: ['--gate=annotation'] },
  { name: 'by-both', args: ['--gate=both'] },
] as const;
const ORIGINAL = ['--file=/etc/podinfo/annotations', `--annotation-key=${STATUS}`, '--annotation-value=initialized'];

beforeAll(async () => {
  await createNamespace(NAMESPACE, {
    labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
    annotations: { [INITIALIZE]: 'true' },
  });
});
afterAll(() => deleteNamespaces([NAMESPACE]));

describe("a pod with the original's gate, a downward API file", () => {
  it('goes on when the agent has annotated it', async () => {
    await createPods(NAMESPACE, await Promise.all(CASES.map(({ name, args }) => podWithFile(name, args))));
    await waitReady(
      NAMESPACE,
      CASES.map(({ name }) => name),
      FILE_WITHIN_MS,
    );
    for (const { name } of CASES) {
      const pod = await getPod(NAMESPACE, name);
      expect(textAt(pod, 'metadata', 'annotations', STATUS), name).toBe('initialized');
      expect(at(statusOf(pod, GATE), 'restartCount'), name).toBe(0);
      expect(at(statusOf(pod, GATE), 'state', 'terminated', 'exitCode'), name).toBe(0);
      const { netnsPath } = await requireSandbox(textAt(pod, 'metadata', 'uid'));
      expect((await capturedState(netnsPath)).mark, name).toMatch(/ ready [0-9a-f]{16}$/);
      const lines = await logOf(NAMESPACE, name, GATE);
      process.stdout.write(`${name}: waited ${(lines.at(-1)?.timeMs ?? 0) - (lines[0]?.timeMs ?? 0)} ms\n`);
    }
  });
});

async function podWithFile(name: string, args: readonly string[]): Promise<object> {
  const volumeMounts = [{ name: 'podinfo', mountPath: '/etc/podinfo', readOnly: true }];
  const gate = await handMadeGate([...ORIGINAL, ...args], { volumeMounts });
  const items = [{ path: 'annotations', fieldRef: { fieldPath: 'metadata.annotations' } }];
  return appPod(name, {
    initContainers: [gate, standInSidecar()],
    spec: { volumes: [{ name: 'podinfo', downwardAPI: { items } }] },
  });
}
