import { heldByGate } from '../capture/gate-container.ts';
import { type EnrollmentOptions, isCapturable } from '../enrollment/decide.ts';
import type { Namespace, Pod } from '../pod/pod.ts';
import type { PluginHooks, ToldSandbox } from '../sandbox/nri/plugin-hooks.ts';
import type { SandboxDetails, SandboxRuntime } from '../sandbox/sandbox.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type Arrivals, keyOf } from './arrivals.ts';
import { containerRefusal, type ContainerCase } from './container-refusal.ts';
import { claimsCapture, mayBeOurs } from './hooked-pod.ts';
import type { HookResult, Reconciler } from './reconcile.ts';
import type { Records } from './records.ts';
import type { ToldSandboxes } from './told-sandboxes.ts';

export interface RuntimeHooksOptions {
  readonly reconciler: Pick<Reconciler, 'inHook'>;
  readonly arrivals: Arrivals;
  readonly told: ToldSandboxes;
  readonly records: Pick<Records, 'find'>;
  /** For a sandbox whose netns the hook does not name. */
  readonly runtime: Pick<SandboxRuntime, 'details'>;
  readonly namespace: (name: string) => Namespace | undefined;
  readonly enrollment: EnrollmentOptions;
  /** Puts a pod into the queue. */
  readonly wake: (key: string) => void;
  /** Runs something once the answer that is being given has gone out. */
  readonly afterAnswer: (act: () => void) => void;
  readonly log: Log;
  readonly metrics: Metrics;
}

type Hook = 'RunPodSandbox' | 'CreateContainer';
type Ended = ContainerCase | { readonly kind: 'settled' };

/**
 * What is done while the runtime waits: a new sandbox is captured before any container of its pod exists. Whatever could not be done then
 * is tried once more before each container, which is refused rather than left to run without rules. People are told by the queue, later.
 */
export function createRuntimeHooks(options: RuntimeHooksOptions): PluginHooks {
  const { told, arrivals, enrollment, metrics, log } = options;

  async function runPodSandbox(sandbox: ToldSandbox, deadlineMs: number): Promise<void> {
    const details = told.alive(sandbox);
    // Without a netns of its own the pod is the host's; where the runtime merely does not say, CreateContainer asks it.
    if (!isCandidate(sandbox) || sandbox.netnsPath === undefined) return;
    await bringIn('RunPodSandbox', { sandbox, details, deadlineMs, mayAskRuntime: false });
  }

  async function createContainer(
    sandbox: ToldSandbox,
    containerName: string,
    deadlineMs: number,
  ): Promise<string | undefined> {
    if (!isCandidate(sandbox)) return undefined;
    // Its sandbox may be older than the connection, or was missed by both hook and Synchronize.
    const alive = told.alive(sandbox);
    const details = alive.netnsPath === undefined ? ((await askRuntime(sandbox.id)) ?? alive) : alive;
    const ended = await bringIn('CreateContainer', { sandbox, details, deadlineMs, mayAskRuntime: true });
    if (ended.kind === 'settled' || (ended.kind === 'unseen' && !claims(sandbox))) return undefined;
    const refusal = containerRefusal(containerName, ended, enrollment);
    if (refusal !== undefined)
      log.warn('container refused', { pod: keyOf(sandbox), container: containerName, refusal });
    return refusal;
  }

  async function bringIn(hook: Hook, visit: Visit): Promise<Ended> {
    const { sandbox, details, deadlineMs, mayAskRuntime } = visit;
    const arrived = await arrivals.awaited(sandbox, deadlineMs);
    const ended = arrived === undefined ? UNSEEN : await judge({ ...arrived, details, mayAskRuntime });
    report(hook, sandbox, ended);
    // Settled pods were told about long ago; all else the queue takes from here: Event, annotation, another try.
    if (ended.kind !== 'settled') options.afterAnswer(() => options.wake(keyOf(sandbox)));
    return ended;
  }

  async function judge(given: {
    readonly pod: Pod;
    readonly namespace: Namespace;
    readonly details: SandboxDetails;
    readonly mayAskRuntime: boolean;
  }): Promise<Ended> {
    const { pod, namespace, details: sandbox, mayAskRuntime } = given;
    if (isSettled(pod, sandbox.id)) return { kind: 'settled' };
    const result = await options.reconciler.inHook({ pod, namespace, sandbox, mayAskRuntime });
    return { kind: 'judged', pod, result };
  }

  function isSettled(pod: Pod, sandboxId: string): boolean {
    const settled = options.records.find(pod.uid)?.settled;
    return settled?.sandboxId === sandboxId && settled.capture !== undefined;
  }

  /** The details, or undefined if the runtime does not answer: then the failure shows when the netns is needed. */
  async function askRuntime(sandboxId: string): Promise<SandboxDetails | undefined> {
    try {
      return await options.runtime.details(sandboxId);
    } catch {
      return undefined;
    }
  }

  function report(hook: Hook, sandbox: ToldSandbox, ended: Ended): void {
    const result = ended.kind === 'judged' ? ended.result : { kind: ended.kind };
    metrics.count('nriPods', { hook, result: result.kind });
    if (ended.kind === 'judged' && ended.result.kind === 'failed') warnOf(hook, sandbox, ended.result);
    if (ended.kind === 'unseen') log.info('pod not seen yet', { pod: keyOf(sandbox), hook, sandbox: sandbox.id });
  }

  function warnOf(hook: Hook, sandbox: ToldSandbox, { error }: Extract<HookResult, { kind: 'failed' }>): void {
    metrics.count('errors', { code: error.code });
    const { code, message, hint, fields } = error;
    log.warn('capture in the hook failed', { pod: keyOf(sandbox), hook, code, error: message, hint, ...fields });
  }

  function isCandidate(sandbox: ToldSandbox): boolean {
    return mayBeOurs(sandbox, options.namespace(sandbox.podNamespace), enrollment);
  }

  function claims(sandbox: ToldSandbox): boolean {
    return claimsCapture(sandbox, options.namespace(sandbox.podNamespace), enrollment);
  }

  return {
    connected: (is) => {
      told.connected(is);
      metrics.set('nriConnected', is ? 1 : 0);
    },
    synchronized: ({ sandboxes, runtime }) => {
      told.replaceAll(sandboxes);
      const ours = sandboxes.filter(isCandidate);
      log.info('the runtime calls its hooks', { ...runtime, sandboxes: sandboxes.length, mayBeOurs: ours.length });
      options.afterAnswer(() => {
        for (const sandbox of ours) options.wake(keyOf(sandbox));
      });
    },
    runPodSandbox: (sandbox, { deadlineMs }) => runPodSandbox(sandbox, deadlineMs),
    createContainer: (sandbox, container, { deadlineMs }) => createContainer(sandbox, container.name, deadlineMs),
    mustDecide: (sandbox) => {
      if (!isCandidate(sandbox) || !claims(sandbox)) return false;
      const pod = arrivals.now(sandbox)?.pod;
      // A gate holds back what is not decided; every container it does not hold must not be created unseen.
      if (pod === undefined) return true;
      return isCapturable(pod, enrollment) && !isSettled(pod, sandbox.id) && !allHeldByGate(pod);
    },
    stopPodSandbox: (sandboxId) => {
      const stopped = told.details(sandboxId);
      told.stopped(sandboxId);
      if (stopped !== undefined) options.afterAnswer(() => options.wake(keyOf(stopped)));
    },
    removePodSandbox: (sandboxId) => told.removed(sandboxId),
  };
}

interface Visit {
  readonly sandbox: ToldSandbox;
  readonly details: SandboxDetails;
  readonly deadlineMs: number;
  readonly mayAskRuntime: boolean;
}

const UNSEEN = { kind: 'unseen' } as const;

function allHeldByGate(pod: Pod): boolean {
  return [...pod.initContainers, ...pod.containers].every(({ name }) => heldByGate(pod, name));
}
