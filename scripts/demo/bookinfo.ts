import * as v from 'valibot';
import { setTimeout as delay } from 'node:timers/promises';
import { note, seconds, title } from '../presentation.ts';
import { kubectl, showKubectl, tryKubectl } from './kubectl.ts';
import { type DemoPod, isReady, listPods, NAMES, progressOf } from './pods.ts';

const { namespace } = NAMES;
export const BOOKINFO_SELECTOR = 'app in (productpage,details,reviews,ratings)';
const PODS = 6;
const TIMEOUT_MS = 240_000;
const LOOK_EVERY_MS = 500;
const REPEAT_MS = 10_000;

/** The scenario of the original project: the namespace takes part, then bookinfo is applied. */
export async function applyBookinfo(): Promise<void> {
  title('The mesh, by the commands of the original');
  note(`kubectl create namespace ${namespace}: done above.`);
  await showKubectl(['label', '--overwrite', 'namespace', namespace, 'istio-injection=enabled']);
  await showKubectl(['annotate', '--overwrite', 'namespace', namespace, `${NAMES.initialize}=true`]);
  await showKubectl(['apply', '-f', 'examples/bookinfo.yaml', '-n', namespace]);
}

/** Waits until every pod of bookinfo is Ready and says how far each is. Throws with what is known about those that are not. */
export async function untilReady(): Promise<readonly DemoPod[]> {
  const beganMs = performance.now();
  let said = '';
  let saidMs = 0;
  for (;;) {
    const [pods, settled] = await Promise.all([listPods(namespace, BOOKINFO_SELECTOR), rolloutsSettled()]);
    const ready = pods.filter(isReady).length;
    const others = pods.filter((pod) => !isReady(pod));
    const text = [`${ready} of ${PODS} ready`, ...byProgress(others)].join('; ');
    const nowMs = performance.now();
    if (text !== said || nowMs - saidMs > REPEAT_MS) {
      note(`… ${seconds(nowMs - beganMs)} ${text}`);
      [said, saidMs] = [text, nowMs];
    }
    if (settled && ready >= PODS && others.length === 0) return pods;
    if (nowMs - beganMs > TIMEOUT_MS) throw new Error(await whatIsWrong(pods));
    await delay(LOOK_EVERY_MS);
  }
}

const DEPLOYMENTS = v.object({
  items: v.array(
    v.object({
      metadata: v.object({ generation: v.number() }),
      spec: v.object({ replicas: v.number() }),
      status: v.object({
        observedGeneration: v.optional(v.number(), 0),
        updatedReplicas: v.optional(v.number(), 0),
        availableReplicas: v.optional(v.number(), 0),
      }),
    }),
  ),
});

/** Ready pods may still be those of an older template. */
async function rolloutsSettled(): Promise<boolean> {
  const args = ['get', 'deployments', '-n', namespace, '-o', 'json'];
  const { items } = v.parse(DEPLOYMENTS, JSON.parse(await kubectl(args)));
  return items.every(
    ({ metadata, spec, status }) =>
      status.observedGeneration >= metadata.generation &&
      status.updatedReplicas >= spec.replicas &&
      status.availableReplicas >= spec.replicas,
  );
}

/** `istio-proxy runs: details-v1, ratings-v1`, one for each step that a pod is at. */
function byProgress(pods: readonly DemoPod[]): string[] {
  const groups = Map.groupBy(pods, (pod) => progressOf(pod).replace(NAMES.gate, 'gate'));
  return [...groups].map(([progress, members]) => `${progress}: ${members.map(shortName).join(', ')}`);
}

async function whatIsWrong(pods: readonly DemoPod[]): Promise<string> {
  const events = await tryKubectl(['get', 'events', '-n', namespace, '--field-selector=type=Warning']);
  const parts = [`not all pods of bookinfo became ready within ${seconds(TIMEOUT_MS)}`, events.stdout];
  for (const pod of pods.filter((candidate) => !isReady(candidate))) {
    const gate = await tryKubectl(['logs', '-n', namespace, pod.metadata.name, '-c', NAMES.gate, '--tail=5']);
    parts.push(`${pod.metadata.name}: ${progressOf(pod)}; its gate says:\n${gate.stdout || gate.stderr}`);
  }
  return parts.join('\n');
}

/** `reviews-v1-5874488956-hcm5q` is `reviews-v1` to a reader. */
export function shortName(pod: DemoPod): string {
  return pod.metadata.name.replace(/-[a-z0-9]+-[a-z0-9]+$/, '');
}
