import { messageOf } from '../errors.ts';
import type { SandboxRuntime } from '../sandbox/sandbox.ts';
import type { Log } from '../telemetry/log.ts';

/**
 * Notices new and vanished sandboxes without `GetContainerEvents` (it steals kubelet's events on containerd 1.7 and can block pod creation
 * on 2.x). One ListPodSandbox for the whole node per look: fast while a pod waits for its sandbox and no hook would tell of it, slow otherwise.
 */
export interface SandboxWatch {
  /** Wakes `key` as soon as the runtime has a ready sandbox for `runtimeUid`. */
  expect(key: string, runtimeUid: string): void;
  /** Wakes `key` as soon as `sandboxId` is no longer a ready sandbox of `runtimeUid`. */
  guard(key: string, runtimeUid: string, sandboxId: string): void;
  forget(key: string): void;
  /** Looks until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** While a pod waits. RunPodSandbox takes about 260 ms, the first container starts some 200 ms later: the look must fit between. */
export const FAST_LOOK_MS = 50;
/** A pod that has waited this long has another problem (image, volume, CNI): no need to hurry the runtime. */
const HURRY_FOR_MS = 20_000;
const PATIENT_LOOK_MS = 1_000;
/** Nobody waits: only killed sandboxes can be found, and the pod watch usually tells of them first. */
const SLOW_LOOK_MS = 5_000;

interface Expected {
  readonly runtimeUid: string;
  readonly sinceMs: number;
}

export function createSandboxWatch(options: {
  readonly runtime: Pick<SandboxRuntime, 'listReady'>;
  readonly wake: (key: string) => void;
  readonly log: Log;
  /** True while hooks of the runtime (NRI) tell of each sandbox as it is made: then a look finds only what they missed. */
  readonly hooked: () => boolean;
  readonly nowMs: () => number;
  /** Resolves after the time or when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}): SandboxWatch {
  const expected = new Map<string, Expected>();
  const guarded = new Map<string, { readonly runtimeUid: string; readonly sandboxId: string }>();
  let hurry = new AbortController();
  let failing = false;
  let sleepingMs = 0;

  function lookDelayMs(): number {
    if (failing) return PATIENT_LOOK_MS;
    let delayMs = SLOW_LOOK_MS;
    for (const { sinceMs } of expected.values()) {
      const hurried = !options.hooked() && options.nowMs() - sinceMs < HURRY_FOR_MS;
      delayMs = Math.min(delayMs, hurried ? FAST_LOOK_MS : PATIENT_LOOK_MS);
    }
    return delayMs;
  }

  async function look(): Promise<void> {
    if (expected.size === 0 && guarded.size === 0) return;
    const ready = new Map<string, Set<string>>();
    for (const sandbox of await options.runtime.listReady()) {
      const ids = ready.get(sandbox.podUid) ?? new Set();
      ready.set(sandbox.podUid, ids.add(sandbox.id));
    }
    for (const [key, { runtimeUid }] of expected) {
      if (!ready.has(runtimeUid)) continue;
      expected.delete(key);
      options.wake(key);
    }
    for (const [key, { runtimeUid, sandboxId }] of guarded) {
      if (ready.get(runtimeUid)?.has(sandboxId) === true) continue;
      guarded.delete(key);
      options.wake(key);
    }
  }

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      hurry = new AbortController();
      sleepingMs = lookDelayMs();
      await options.sleep(sleepingMs, AbortSignal.any([signal, hurry.signal]));
      if (signal.aborted) return;
      try {
        await look();
        if (failing) options.log.info('the container runtime answers again');
        failing = false;
      } catch (error: unknown) {
        if (!failing) options.log.warn('cannot list sandboxes', { error: messageOf(error) });
        failing = true;
      }
    }
  }

  return {
    expect: (key, runtimeUid) => {
      guarded.delete(key);
      if (expected.get(key)?.runtimeUid === runtimeUid) return;
      expected.set(key, { runtimeUid, sinceMs: options.nowMs() });
      // A slow look may be under way: cut its wait short.
      if (sleepingMs > lookDelayMs()) hurry.abort();
    },
    guard: (key, runtimeUid, sandboxId) => {
      expected.delete(key);
      guarded.set(key, { runtimeUid, sandboxId });
    },
    forget: (key) => {
      expected.delete(key);
      guarded.delete(key);
    },
    run,
  };
}
