import type { Decision } from '../enrollment/reasons.ts';
import { ControllerError, isControllerError } from '../errors.ts';
import type { Namespace, Pod } from '../pod/pod.ts';
import { podKey } from '../pod/pod.ts';
import { pickSandbox, runtimePodUid, type SandboxDetails, type SandboxRuntime } from '../sandbox/sandbox.ts';
import { backOffMs } from './back-off.ts';
import { dependsOnNameservers, type Desired, type DesiredOptions, desiredFor } from './desired.ts';
import { createKeyLocks, type KeyLocks } from './key-locks.ts';
import { needsSandbox, plan, type PodRecord, type Step, type StepContext } from './plan.ts';
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
  /** Of a sandbox whose details do not hold them: the hooks of the runtime (NRI) do not tell, CRI may. */
  readonly nameserversOf: (sandboxId: string) => Promise<readonly string[] | undefined>;
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

/** A sandbox the runtime waits with, and the pod it is of. */
export interface HookVisit {
  readonly pod: Pod;
  readonly namespace: Namespace;
  readonly sandbox: SandboxDetails;
  /** The runtime knows a sandbox only once its hook has ended: before that it cannot be asked about it. */
  readonly mayAskRuntime: boolean;
}

/** `postponed`: the policy depends on something only the runtime can tell, and it cannot be asked yet. */
export type HookResult =
  | { readonly kind: 'ignored' | 'captured' | 'postponed' }
  | { readonly kind: 'refused'; readonly decision: Decision }
  | { readonly kind: 'failed'; readonly decision: Decision; readonly error: ControllerError };

export interface Reconciler {
  /**
   * One turn of one pod: desired × observed → steps → done. The same path for a new pod, an agent start with pods already there,
   * a re-created sandbox and a retry. Never throws.
   */
  turn(key: string): Promise<Turn>;
  /** The same while the runtime waits: the work in the netns only, nothing is told to anybody. Never throws. */
  inHook(visit: HookVisit): Promise<HookResult>;
}

export function createReconciler(options: ReconcileOptions): Reconciler {
  const attempts = new Map<string, number>();
  // A hook must not wait for the API server, so only the work in the netns is exclusive; what is told comes from the queue alone.
  const locks = createKeyLocks();

  async function turn(key: string): Promise<Turn> {
    try {
      await reconcile(options, locks, key);
      attempts.delete(key);
      return { kind: 'settled' };
    } catch (error: unknown) {
      const attempt = attempts.get(key) ?? 0;
      attempts.set(key, attempt + 1);
      return { kind: 'retry', afterMs: backOffMs(attempt, options.random), error: typed(error) };
    }
  }

  async function inHook({ pod, namespace, sandbox, mayAskRuntime }: HookVisit): Promise<HookResult> {
    const judged = desiredFor(pod, namespace, options.desired);
    const record = options.records.of(pod, judged.decision);
    if (judged.kind === 'ignore') return { kind: 'ignored' };
    const depends = dependsOnNameservers(judged, pod, options.desired);
    if (depends && sandbox.nameservers === undefined && !mayAskRuntime) return { kind: 'postponed' };
    try {
      const desired = depends ? await refined(options, { judged, pod, namespace, sandbox }) : judged;
      await work(options, locks, { desired, pod, sandbox, record });
      // A running pod is left as it is: its containers may start again under the rules it has.
      const stands = desired.kind !== 'refuse' || options.records.find(pod.uid)?.settled?.keptReady === true;
      return stands ? { kind: 'captured' } : { kind: 'refused', decision: desired.decision };
    } catch (error: unknown) {
      return { kind: 'failed', decision: judged.decision, error: typed(error) };
    }
  }

  return { turn, inHook };
}

async function reconcile(options: ReconcileOptions, locks: KeyLocks, key: string): Promise<void> {
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
  const depends = sandbox !== undefined && dependsOnNameservers(judged, pod, options.desired);
  const desired = depends ? await refined(options, { judged, pod, namespace, sandbox }) : judged;
  await work(options, locks, { desired, pod, sandbox, record });
  const told = options.records.find(pod.uid) ?? record;
  for (const step of plan(desired, { sandbox, record: told })) {
    if (step.action === 'tell') await options.carryOut(step, contextOf(options, pod, desired, sandbox));
  }
  if (desired.kind === 'ignore') options.sandboxes.forget(key);
  else guardSandbox(options, pod, sandbox);
}

/** What is to be done in the netns, by one turn or hook at a time; whoever comes second finds it settled. */
function work(
  options: ReconcileOptions,
  locks: KeyLocks,
  given: {
    readonly desired: Desired;
    readonly pod: Pod;
    readonly sandbox: SandboxDetails | undefined;
    readonly record: PodRecord;
  },
): Promise<void> {
  const { desired, pod, sandbox } = given;
  return locks.exclusively(podKey(pod), async () => {
    const record = options.records.find(pod.uid) ?? given.record;
    for (const step of plan(desired, { sandbox, record })) {
      if (step.action !== 'tell') await options.carryOut(step, contextOf(options, pod, desired, sandbox));
    }
  });
}

/** Where Istio captures DNS, it may be only what goes to the name servers of the pod's resolv.conf, which the runtime may know. */
async function refined(
  options: ReconcileOptions,
  given: {
    readonly judged: Desired;
    readonly pod: Pod;
    readonly namespace: Namespace;
    readonly sandbox: SandboxDetails;
  },
): Promise<Desired> {
  const { judged, pod, namespace, sandbox } = given;
  const nameservers = sandbox.nameservers ?? (await options.nameserversOf(sandbox.id));
  return nameservers === undefined ? judged : desiredFor(pod, namespace, options.desired, { nameservers });
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

function typed(error: unknown): ControllerError {
  return isControllerError(error) ? error : new ControllerError('Internal', String(error), { cause: error });
}
