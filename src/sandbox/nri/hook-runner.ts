import { messageOf } from '../../errors.ts';
import type { Log } from '../../telemetry/log.ts';
import type { PluginClock } from './clock.ts';
import type { AwaitedHook, HookCall, PluginHooks, PluginObserver, ToldContainer, ToldSandbox } from './plugin-hooks.ts';

/**
 * Runs hooks so that each has an answer in time: a runtime that waits in vain for one closes the connection, and goes on without us.
 * Whatever a hook does, a sandbox is never refused: several containerd versions leave a refused one running, and cannot start again
 * after they refused the same pod more than once.
 */
export interface HookRunner {
  /** Resolves when the runtime is to be answered. */
  runPodSandbox(sandbox: ToldSandbox, budgetMs: number): Promise<void>;
  /** The text to refuse the container with, or undefined. */
  createContainer(sandbox: ToldSandbox, container: ToldContainer, budgetMs: number): Promise<string | undefined>;
  /** For the hooks that nobody waits for. */
  tell(hook: string, act: () => void): void;
}

/** Between the end of a hook and the runtime's own deadline: for a busy event loop, and for a busy runtime. */
export const MARGIN_MS = 400;
/** What the runtimes allow unless told otherwise. A node's pods all wait for a hook: more than this is never made use of. */
const TIMEOUT_MS_MAX = 2_000;
/** The runtimes call one at a time, so that more can only be hooks that never end. Beyond, a hook counts as late at once. */
const RUNNING_MAX = 64;

type Ended<T> = { readonly outcome: 'done'; readonly value: T } | { readonly outcome: 'failed' | 'late' };

/** How long a hook may take, of the time the runtime left for the answer (0: it did not say) or told for all of them. */
export function hookBudgetMs(timeoutNano: bigint, requestTimeoutMs: bigint): number {
  const toldMs = timeoutNano > 0n ? Number(timeoutNano) / 1e6 : Number(requestTimeoutMs);
  const timeoutMs = toldMs > 0 ? Math.min(toldMs, TIMEOUT_MS_MAX) : TIMEOUT_MS_MAX;
  return timeoutMs - Math.min(MARGIN_MS, timeoutMs / 2);
}

export function createHookRunner(options: {
  readonly hooks: PluginHooks;
  readonly observer: Pick<PluginObserver, 'answered'>;
  readonly log: Log;
  readonly clock: PluginClock;
}): HookRunner {
  const { hooks, observer, log, clock } = options;
  let running = 0;

  function withinBudget<T>(
    hook: AwaitedHook,
    budgetMs: number,
    fields: { readonly sandbox: string; readonly container?: string },
    act: (call: HookCall) => Promise<T>,
  ): Promise<Ended<T>> {
    const late = () =>
      log.warn('a hook has not ended in time, the runtime is answered without it', { hook, ...fields });
    const { promise, resolve } = Promise.withResolvers<Ended<T>>();
    if (running >= RUNNING_MAX) {
      late();
      resolve({ outcome: 'late' });
      return promise;
    }
    running += 1;
    const cancel = clock.after(budgetMs, () => {
      late();
      resolve({ outcome: 'late' });
    });
    const run = async () => {
      try {
        resolve({ outcome: 'done', value: await act({ deadlineMs: clock.nowMs() + budgetMs }) });
      } catch (error: unknown) {
        log.error('a hook failed', { hook, ...fields, error: messageOf(error) });
        resolve({ outcome: 'failed' });
      } finally {
        running -= 1;
        cancel();
      }
    };
    void run();
    return promise;
  }

  function mustDecide(sandbox: ToldSandbox): boolean {
    try {
      return hooks.mustDecide(sandbox);
    } catch (error: unknown) {
      // A bug here must not keep every container of the node from being created, ours included. The gate still holds the pods.
      log.error('a hook failed', { hook: 'mustDecide', sandbox: sandbox.id, error: messageOf(error) });
      return false;
    }
  }

  return {
    runPodSandbox: async (sandbox, budgetMs) => {
      const startedMs = clock.nowMs();
      const fields = { sandbox: sandbox.id };
      const { outcome } = await withinBudget('runPodSandbox', budgetMs, fields, (call) =>
        hooks.runPodSandbox(sandbox, call),
      );
      observer.answered({ hook: 'runPodSandbox', outcome, isRefusal: false, durationMs: clock.nowMs() - startedMs });
    },
    createContainer: async (sandbox, container, budgetMs) => {
      const startedMs = clock.nowMs();
      const fields = { sandbox: sandbox.id, container: container.name };
      const ended = await withinBudget('createContainer', budgetMs, fields, (call) =>
        hooks.createContainer(sandbox, container, call),
      );
      const objection = ended.outcome === 'done' ? ended.value : undecided(ended.outcome, mustDecide(sandbox));
      observer.answered({
        hook: 'createContainer',
        outcome: ended.outcome === 'done' && objection !== undefined ? 'refused' : ended.outcome,
        isRefusal: objection !== undefined,
        durationMs: clock.nowMs() - startedMs,
      });
      return objection;
    },
    tell: (hook, act) => {
      try {
        act();
      } catch (error: unknown) {
        log.error('a hook failed', { hook, error: messageOf(error) });
      }
    },
  };
}

function undecided(outcome: 'failed' | 'late', isHeld: boolean): string | undefined {
  if (!isHeld) return undefined;
  return outcome === 'late' ? 'not decided in time' : 'not decided: the hook failed, see the log of the agent';
}
