import { ControllerError, isControllerError } from '../errors.ts';
import type { Namespace, Pod } from '../pod/pod.ts';
import { podKey } from '../pod/pod.ts';
import { pickSandbox, runtimePodUid, type SandboxDetails, type SandboxRuntime } from '../sandbox/sandbox.ts';
import { backOffMs } from './back-off.ts';
import { type Desired, type DesiredOptions, desiredFor } from './desired.ts';
import { needsSandbox, plan, type Step, type StepContext } from './plan.ts';
import type { Records } from './records.ts';
import type { SandboxWatch } from './sandbox-watch.ts';

/** What a reconciliation reads. Both stores are filled by watches and may lag; everything is read again on every turn. */
export interface Stores {
  pod(key: string): Pod | undefined;
  namespace(name: string): Namespace | undefined;
}

export interface ReconcileOptions {
  readonly stores: Stores;
  readonly runtime: SandboxRuntime;
  readonly records: Records;
  readonly sandboxes: SandboxWatch;
  readonly desired: DesiredOptions;
  readonly carryOut: (step: Step, context: StepContext) => Promise<void>;
  readonly random: () => number;
}

/** What the queue does with the key next. */
export type Turn =
  | { readonly kind: 'settled' }
  | { readonly kind: 'retry'; readonly afterMs: number; readonly error: ControllerError };

/**
 * One turn of one pod: desired × observed → steps → done. The same path for a new pod, an agent start with pods already there,
 * a re-created sandbox and a retry. Never throws.
 */
export function createReconciler(options: ReconcileOptions): (key: string) => Promise<Turn> {
  const attempts = new Map<string, number>();

  async function turn(key: string): Promise<Turn> {
    try {
      await reconcile(options, key);
      attempts.delete(key);
      return { kind: 'settled' };
    } catch (error: unknown) {
      const attempt = attempts.get(key) ?? 0;
      attempts.set(key, attempt + 1);
      const typed = isControllerError(error) ? error : new ControllerError('Internal', String(error), { cause: error });
      return { kind: 'retry', afterMs: backOffMs(attempt, options.random), error: typed };
    }
  }
  return turn;
}

async function reconcile(options: ReconcileOptions, key: string): Promise<void> {
  const pod = options.stores.pod(key);
  if (pod === undefined) {
    options.records.dropKey(key);
    return options.sandboxes.forget(key);
  }
  // A pod that is being deleted starts nothing any more; its netns goes with its sandbox.
  if (pod.deleting) return options.sandboxes.forget(key);
  const namespace = options.stores.namespace(pod.namespace);
  if (namespace === undefined) {
    throw new ControllerError('ApiReply', `pod ${key}: its namespace has not been seen yet`);
  }
  const judged = desiredFor(pod, namespace, options.desired);
  const record = options.records.of(pod, judged.decision);
  const sandbox = needsSandbox(judged) ? await currentSandbox(options.runtime, pod) : undefined;
  const desired = dependsOnSandbox(judged, sandbox) ? desiredFor(pod, namespace, options.desired, sandbox) : judged;
  for (const step of plan(desired, { sandbox, record })) {
    await options.carryOut(step, contextOf(options, pod, desired, sandbox));
  }
  if (desired.kind === 'ignore') options.sandboxes.forget(key);
  else guardSandbox(options, pod, sandbox);
}

/** Where Istio captures DNS, it may be only what goes to the name servers of the pod's resolv.conf, which the runtime knows. */
function dependsOnSandbox(desired: Desired, sandbox: SandboxDetails | undefined): sandbox is SandboxDetails {
  return desired.kind === 'capture' && desired.policy.dns.value.kind !== 'off' && sandbox?.nameservers !== undefined;
}

/** The pod's one ready sandbox with its netns, or undefined while there is none. */
async function currentSandbox(runtime: SandboxRuntime, pod: Pod): Promise<SandboxDetails | undefined> {
  const runtimeUid = runtimePodUid(pod);
  const picked = pickSandbox(await runtime.listReady(runtimeUid), runtimeUid);
  if (picked === undefined) return undefined;
  const details = await runtime.details(picked.id);
  return details?.ready === true ? details : undefined;
}

function contextOf(
  options: ReconcileOptions,
  pod: Pod,
  desired: Desired,
  sandbox: SandboxDetails | undefined,
): StepContext {
  return {
    pod,
    desired,
    sandbox,
    // The store may have moved on while this turn was waiting for the runtime.
    stillCurrent: () => options.stores.pod(podKey(pod))?.uid === pod.uid,
  };
}

/** Once settled, the pod is looked at again as soon as its sandbox is another. */
function guardSandbox(options: ReconcileOptions, pod: Pod, sandbox: SandboxDetails | undefined): void {
  const settled = options.records.find(pod.uid)?.settled;
  if (sandbox === undefined || settled?.sandboxId !== sandbox.id) return;
  options.sandboxes.guard(podKey(pod), runtimePodUid(pod), sandbox.id);
}
