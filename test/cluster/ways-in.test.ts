import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capturedState, escapesTo, requireSandbox } from '../support/cluster-host.ts';
import {
  appPod,
  container,
  getPod,
  getPods,
  logOf,
  POD_SECURITY,
  REGISTRY_ONLY,
  stateOf,
  statusOf,
  waitReady,
} from '../support/cluster-pods.ts';
import {
  apply,
  at,
  createNamespace,
  deleteNamespaces,
  GATE,
  kubectl,
  listAt,
  MESH,
  STATUS,
  textAt,
} from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-ways-in';
/** Nothing answers there: what reaches the bridge is counted and dropped, what is captured ends at Envoy. */
const OUTSIDE = '192.0.2.78:7001';
const CLASSIC = { 'sidecar.istio.io/nativeSidecar': 'false' };

beforeAll(async () => {
  await createNamespace(NAMESPACE, MESH);
  await apply([REGISTRY_ONLY], NAMESPACE);
});
afterAll(() => deleteNamespaces([NAMESPACE]));

describe('a Job', () => {
  it('whose pods never restart is captured from its first instruction, and ends', async () => {
    const before = await escapesTo(OUTSIDE);
    await apply([job()], NAMESPACE);
    await kubectl(['wait', '-n', NAMESPACE, '--for=condition=Complete', '--timeout=120s', 'job/once']);
    const [pod] = (await getPods(NAMESPACE)).filter((one) => textAt(one, 'metadata', 'labels', 'job-name') === 'once');
    expect(initNames(pod)).toEqual([GATE, 'istio-proxy']);
    expect(textAt(pod, 'metadata', 'annotations', STATUS)).toBe('initialized');
    expect(at(statusOf(pod, GATE), 'restartCount')).toBe(0);
    const tally = await lastTally(textAt(pod, 'metadata', 'name'));
    expect(Number(at(tally, 'connected'))).toBeGreaterThan(10);
    expect([at(tally, 'silent'), at(tally, 'other')]).toEqual([0, 0]);
    expect((await escapesTo(OUTSIDE)) - before).toBe(0);
  });
});

describe('a pod with a classic sidecar', () => {
  it('has the gate before its own init containers, and Envoy beside the application', async () => {
    const first = container('own', ['connect', '--timeout-ms', '500', OUTSIDE]);
    const before = await escapesTo(OUTSIDE);
    await apply([appPod('classic', { annotations: CLASSIC, initContainers: [first] })], NAMESPACE);
    await waitReady(NAMESPACE, ['classic']);
    const pod = await getPod(NAMESPACE, 'classic');
    expect(initNames(pod)).toEqual([GATE, 'own']);
    expect(listAt(pod, 'spec', 'containers').map((one) => textAt(one, 'name'))).toContain('istio-proxy');
    expect(stateOf(pod, 'istio-proxy')).toBe('running');
    // Envoy starts after the init containers, so theirs is a closed port: never the outside.
    const [line] = await logOf(NAMESPACE, 'classic', 'own');
    expect(line?.text).toContain('connection refused');
    expect((await escapesTo(OUTSIDE)) - before).toBe(0);
    const { netnsPath } = await requireSandbox(textAt(pod, 'metadata', 'uid'));
    expect((await capturedState(netnsPath)).mark).toMatch(/ ready [0-9a-f]{16}$/);
  });

  it('and restartPolicy Never goes on as well', async () => {
    const spec = { restartPolicy: 'Never' };
    await apply([appPod('classic-never', { annotations: CLASSIC, spec })], NAMESPACE);
    await waitReady(NAMESPACE, ['classic-never']);
    const pod = await getPod(NAMESPACE, 'classic-never');
    expect(at(statusOf(pod, GATE), 'state', 'terminated', 'exitCode')).toBe(0);
    expect(textAt(pod, 'metadata', 'annotations', STATUS)).toBe('initialized');
  });
});

function initNames(pod: unknown): readonly string[] {
  return listAt(pod, 'spec', 'initContainers').map((one) => textAt(one, 'name'));
}

async function lastTally(name: string): Promise<unknown> {
  const lines = (await logOf(NAMESPACE, name, 'app')).filter(({ text }) => text.startsWith('{'));
  return JSON.parse(lines.at(-1)?.text ?? '{}');
}

function job(): object {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'once' },
    spec: {
      backoffLimit: 0,
      template: {
        spec: {
          restartPolicy: 'Never',
          securityContext: POD_SECURITY,
          containers: [container('app', ['dial', '--for-ms', '1500', '--timeout-ms', '500', OUTSIDE])],
        },
      },
    },
  };
}
