import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { spread } from '../../bench/spread.ts';
import { AGENT_NAMESPACE, appPod, createPods, getPod, waitReady } from '../support/cluster-pods.ts';
import { requireSandbox } from '../support/cluster-host.ts';
import {
  createNamespace,
  deleteNamespaces,
  GATE,
  INITIALIZE,
  kubectlJson,
  listAt,
  MESH,
  at,
  textAt,
} from '../support/cluster.ts';
import { ask, clusterAdmin } from '../support/cluster-tokens.ts';
import { type ChartCarrier, installedCarrier, useCarrier } from '../support/gate-carriers.ts';

/**
 * docs/security.md, "Starving the webhook": pods of the cluster that do what they can to keep it from its work, while pods are created.
 * Every opted-in pod must come out gated or be refused with the API server's words about the webhook; none may come out otherwise.
 */
const CLIENT = join(import.meta.dirname, '..', 'support', 'cluster-webhook-attack-client.ts');
const SELECTOR = 'app.kubernetes.io/name=istio-pod-network-controller-webhook';
const PORT = '9443';
const ASKS = 'pnc-test-starved-asks';
const ATTACKERS = 'pnc-test-starved-by';
const FOR_MS = 7_000;
const GATED = `${GATE}, istio-proxy`;
const UNREACHED = /failed calling webhook "(namespaces|pods)\.gate\.pod-network-controller\.istio\.io"/;

const admin = clusterAdmin();
let before: ChartCarrier;
/** Netns of pods that anybody could have made. */
let attackers: readonly string[];
let targets: readonly string[];
const table: string[] = [];

beforeAll(async () => {
  before = await installedCarrier();
  await useCarrier('webhook');
  await createNamespace(ASKS, MESH);
  await createNamespace(ATTACKERS);
  const names = ['one', 'two', 'three', 'four', 'five'];
  await createPods(
    ATTACKERS,
    names.map((name) => appPod(name)),
  );
  await waitReady(ATTACKERS, names);
  attackers = await Promise.all(names.map(async (name) => netnsOf(await getPod(ATTACKERS, name))));
  targets = (await webhookPods()).map((pod) => textAt(pod, 'status', 'podIP'));
  expect(targets).toHaveLength(2);
});
afterAll(async () => {
  process.stdout.write(`${table.join('\n')}\n`);
  await deleteNamespaces([ASKS, ATTACKERS]);
  await useCarrier(before);
});

describe('one pod against both replicas', () => {
  it('undisturbed, for comparison', async () => {
    await judge('nobody', [], { refusalsAllowed: false });
  });

  it.each([
    'mute',
    'garbage',
    'slow-headers',
    'slow-body',
    'large-bodies',
    'endless-bodies',
    'reviews',
    'strange-namespaces',
    'lies',
  ])('%s: every opted-in pod comes out gated', async (attack) => {
    const [netns = ''] = attackers;
    await judge(`one pod: ${attack}`, attacksFrom([netns], attack), { refusalsAllowed: false });
  });
});

describe('five pods, more than the connections the webhook takes', () => {
  it.each(['mute', 'slow-body', 'reviews'])('%s: an opted-in pod is gated or refused, never let by', async (attack) => {
    await judge(`five pods: ${attack}`, attacksFrom(attackers, attack), { refusalsAllowed: true });
  });

  it('afterwards all is as before', async () => {
    expect(await create()).toBe(GATED);
  });
});

interface Attack {
  readonly netns: string;
  readonly attack: string;
}

/** What an attacker tells at its end. */
interface Told {
  readonly connections: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly answers: readonly string[];
}

function attacksFrom(from: readonly string[], attack: string): readonly Attack[] {
  return from.map((netns) => ({ netns, attack }));
}

/** Creates pods for as long as the attack goes on, and holds what came of them and of the webhook against what is promised. */
async function judge(
  title: string,
  attacks: readonly Attack[],
  { refusalsAllowed }: { readonly refusalsAllowed: boolean },
): Promise<void> {
  const restartsBefore = await restarts();
  const running = attacks.map(started);
  // Of several, some may keep others from ever reaching it.
  if (running.length > 0) await Promise.any(running.map(({ reached }) => reached));
  const outcomes = new Map<string, number>();
  const tookMs: number[] = [];
  const untilMs = performance.now() + FOR_MS - 1_000;
  while (performance.now() < untilMs) {
    const startMs = performance.now();
    const outcome = await create();
    tookMs.push(performance.now() - startMs);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  const told = await Promise.all(running.map(({ ended }) => ended));
  const { p50, max } = spread(tookMs);
  const row = [title, `pods ${JSON.stringify([...outcomes])}`, `create p50 ${p50.toFixed(0)} max ${max.toFixed(0)} ms`];
  table.push([...row, ...told.map((one) => JSON.stringify(one))].join(' | '));
  expect(
    [...outcomes.keys()].filter((outcome) => outcome !== GATED && !(refusalsAllowed && UNREACHED.test(outcome))),
  ).toEqual([]);
  expect(tookMs.length).toBeGreaterThan(0);
  expect(await restarts(), 'no container of the webhook ended').toBe(restartsBefore);
}

/** Begins an attack, which runs until its time is over. `reached`: its first connection stands. */
function started({ netns, attack }: Attack): { readonly reached: Promise<void>; readonly ended: Promise<Told> } {
  const argv = [`--net=${netns}`, '--', process.execPath, CLIENT, attack, '1000', String(FOR_MS), PORT, ...targets];
  const child = spawn('nsenter', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const first = lines.next();
  const last = first.then((line) => (line.value === 'started' ? lines.next() : line));
  return {
    reached: first.then(({ value }) =>
      expect(value, `${attack} from ${netns} has reached the webhook`).toBe('started'),
    ),
    ended: closed.then(async ([code]) => {
      expect(code, `${attack} from ${netns} went on until its end`).toBe(0);
      return JSON.parse(String((await last).value)) as Told;
    }),
  };
}

/** Init containers of the pod the API server would store, or its refusal. */
async function create(): Promise<string> {
  const path = `/api/v1/namespaces/${ASKS}/pods?dryRun=All`;
  const { status, message, body } = await ask(admin, {
    path,
    body: appPod('dry', { annotations: { [INITIALIZE]: 'true' } }),
  });
  if (status >= 300) return `${status} ${message}`;
  return listAt(body, 'spec', 'initContainers')
    .map((container) => textAt(container, 'name'))
    .join(', ');
}

async function webhookPods(): Promise<readonly unknown[]> {
  return listAt(await kubectlJson(['get', 'pods', '-n', AGENT_NAMESPACE, '-l', SELECTOR]), 'items');
}

async function restarts(): Promise<string> {
  const counts = (await webhookPods()).map((pod) => {
    return `${textAt(pod, 'metadata', 'name')} ${String(at(pod, 'status', 'containerStatuses', 0, 'restartCount'))}`;
  });
  return counts.toSorted().join(', ');
}

async function netnsOf(pod: unknown): Promise<string> {
  return (await requireSandbox(textAt(pod, 'metadata', 'uid'))).netnsPath;
}
