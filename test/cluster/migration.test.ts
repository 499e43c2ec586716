import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command } from '../../lab/command.ts';
import { checkout } from '../../lab/paths.ts';
import { type CapturedBy, followPods, type Followed, lifeLine, type PodLife } from '../support/cluster-move.ts';
import { escapesTo } from '../support/cluster-host.ts';
import { container, POD_SECURITY, REGISTRY_ONLY } from '../support/cluster-pods.ts';
import {
  apply,
  createNamespace,
  deleteNamespaces,
  GATE,
  INITIALIZE,
  kubectl,
  kubectlJson,
  listAt,
  textAt,
  waitFor,
} from '../support/cluster.ts';

const NAMESPACE = 'pnc-test-move';
/** Nothing answers there: what reaches the bridge is counted and dropped, what is captured ends at Envoy. */
const OUTSIDE = '192.0.2.77:7001';
const WITNESS = '192.0.2.77:7002';
const DEPLOYMENT = 'deployment/caller';
const REPLICAS = 2;

/** One step of a move: what an administrator does, and how the pods are made after it. */
interface Step {
  readonly title: string;
  /** Undefined for the first generation, which is made with the Namespace. */
  readonly act: (() => Promise<unknown>) | undefined;
  readonly init: string;
  readonly captured: CapturedBy;
}

const optIn = async () => {
  await kubectl(['annotate', 'namespace', NAMESPACE, `${INITIALIZE}=true`]);
  await kubectl(['label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=restricted']);
};
const optOut = async () => {
  await kubectl(['label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce-']);
  await kubectl(['annotate', 'namespace', NAMESPACE, `${INITIALIZE}-`]);
};
const installIstio = (...flags: readonly string[]) =>
  command([process.execPath, 'lab/main.ts', 'istio', ...flags], { cwd: checkout, timeoutMs: 240_000 });

const MOVES: readonly {
  readonly from: string;
  readonly prepare: () => Promise<unknown>;
  readonly steps: readonly Step[];
}[] = [
  {
    from: 'istio-init',
    prepare: () => installIstio(),
    steps: [
      { title: 'begins with istio-init', act: undefined, init: 'istio-init', captured: 'istio' },
      {
        title: 'moves to us, and its pods then pass Pod Security restricted',
        act: optIn,
        init: GATE,
        captured: 'ours',
      },
      { title: 'moves back', act: optOut, init: 'istio-init', captured: 'istio' },
    ],
  },
  {
    from: "Istio's CNI plugin",
    prepare: () => installIstio('--istio-cni-plugin'),
    steps: [
      { title: 'begins with the plugin', act: undefined, init: 'istio-validation', captured: 'istio' },
      { title: 'moves to us while the plugin is still there', act: optIn, init: GATE, captured: 'istio and ours' },
      { title: 'does without the plugin', act: () => installIstio('--istio-cni'), init: GATE, captured: 'ours' },
      {
        title: 'moves back',
        act: async () => {
          await installIstio('--istio-cni-plugin');
          await optOut();
        },
        init: 'istio-validation',
        captured: 'istio',
      },
    ],
  },
];

describe.each(MOVES)('a live namespace of $from', ({ prepare, steps }) => {
  let followed: Followed;
  let escapedBefore: number;

  beforeAll(async () => {
    await prepare();
    await createNamespace(NAMESPACE, { labels: { 'istio-injection': 'enabled' } });
    await apply([REGISTRY_ONLY, caller()], NAMESPACE);
    escapedBefore = await escapesTo(OUTSIDE);
    followed = followPods(NAMESPACE, { container: 'app' });
  });
  afterAll(async () => {
    await followed.stop();
    await deleteNamespaces([NAMESPACE]);
  });

  it.each(steps)('$title', async ({ act, init, captured }) => {
    if (act !== undefined) {
      await act();
      await kubectl(['rollout', 'restart', '-n', NAMESPACE, DEPLOYMENT]);
    }
    await rolledOut();
    await expectGeneration(followed, { init, captured });
  });

  it('was never unprotected: no pod, no moment, no packet', async () => {
    await followed.stop();
    for (const life of followed.lives()) process.stdout.write(`${lifeLine(life)}\n`);
    expect(followed.lives().length).toBe(steps.length * REPLICAS);
    for (const life of followed.lives()) expectProtected(life);
    expect((await escapesTo(OUTSIDE)) - escapedBefore).toBe(0);
  });

  it('would have shown it: the same program without capture is counted on the bridge', async () => {
    const before = await escapesTo(WITNESS);
    await apply([uncaptured()], NAMESPACE);
    await kubectl([
      'wait',
      '-n',
      NAMESPACE,
      '--for=jsonpath={.status.phase}=Failed',
      '--timeout=60s',
      'pod/uncaptured',
    ]);
    expect((await escapesTo(WITNESS)) - before).toBeGreaterThan(0);
  });
});

afterAll(() => installIstio());

/** All pods that run now were made the new way. */
async function expectGeneration(followed: Followed, wanted: Pick<Step, 'init' | 'captured'>): Promise<void> {
  const pods = listAt(await kubectlJson(['get', 'pods', '-n', NAMESPACE, '-l', 'app=caller']), 'items');
  const names = pods.map((pod) => textAt(pod, 'metadata', 'name'));
  expect(names.length).toBe(REPLICAS);
  for (const name of names) {
    const life = await waitFor(
      `${name} has been looked into`,
      async () => followed.lives().find((one) => one.name === name && one.captures.length > 0),
      { timeoutMs: 30_000 },
    );
    expect(life.inits, name).toContain(wanted.init);
    expect(life.captures, name).toEqual([wanted.captured]);
  }
}

function expectProtected(life: PodLife): void {
  expect(life.captures, life.name).not.toContain('nobody');
  expect(life.captures.length, life.name).toBeGreaterThan(0);
  expect(life.tally?.connected, life.name).toBeGreaterThan(0);
  expect([life.tally?.silent, life.tally?.other], life.name).toEqual([0, 0]);
}

/** Every pod is of the new kind, and the old ones have gone. */
async function rolledOut(): Promise<void> {
  await kubectl(['rollout', 'status', '-n', NAMESPACE, DEPLOYMENT, '--timeout=180s'], { timeoutMs: 200_000 });
  await waitFor(
    'the old pods have gone',
    async () =>
      listAt(await kubectlJson(['get', 'pods', '-n', NAMESPACE, '-l', 'app=caller']), 'items').length === REPLICAS,
    { timeoutMs: 90_000, intervalMs: 250 },
  );
}

/** An application that calls the outside from its first instruction to its last. */
function caller(): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'caller' },
    spec: {
      replicas: REPLICAS,
      selector: { matchLabels: { app: 'caller' } },
      strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels: { app: 'caller' } },
        spec: {
          terminationGracePeriodSeconds: 2,
          securityContext: POD_SECURITY,
          containers: [container('app', ['dial', '--timeout-ms', '900', OUTSIDE])],
        },
      },
    },
  };
}

function uncaptured(): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'uncaptured', labels: { 'sidecar.istio.io/inject': 'false' } },
    spec: {
      restartPolicy: 'Never',
      securityContext: POD_SECURITY,
      containers: [container('app', ['dial', '--for-ms', '1500', '--timeout-ms', '500', WITNESS])],
    },
  };
}
