/** What the runtime tells its plugins (NRI), and what a plugin may say to it. Types only: the wire is in this folder, the deeds are elsewhere. */

/** A pod sandbox as the runtime tells it in a hook or at Synchronize: with its netns, before any container of the pod exists. */
export interface ToldSandbox {
  readonly id: string;
  readonly podName: string;
  /** The pod's uid as kubelet knows it: for static pods not the uid in the API, see `runtimePodUid`. */
  readonly podUid: string;
  readonly podNamespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly runtimeHandler: string;
  /** Undefined: host network (no network namespace told), or the runtime did not say. Absolute and without `..`. */
  readonly netnsPath: string | undefined;
  /** Empty where the runtime does not tell (NRI < 0.8). */
  readonly ips: readonly string[];
  /** 0: stopped, or not told (CRI-O without an infra container). */
  readonly pid: number;
}

export interface ToldContainer {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  readonly state: ToldContainerState;
}

export type ToldContainerState = 'unknown' | 'created' | 'paused' | 'running' | 'stopped';

export interface HookCall {
  /** `performance.now()` by which the answer must be out; already less a margin. */
  readonly deadlineMs: number;
}

/** Everything there is, told once per connection. */
export interface ToldState {
  readonly sandboxes: readonly ToldSandbox[];
  readonly containers: readonly ToldContainer[];
  readonly runtime: { readonly name: string; readonly version: string };
}

/** What is done when the runtime calls. The runtime holds one lock per node while a hook runs: all pods of the node wait for it. */
export interface PluginHooks {
  /** After Synchronize was answered, at each connect. Must return at once; heavy work later. */
  synchronized(told: ToldState): void;
  /** The answer is OK whatever happens (an error can make containerd unstartable); the wire answers at the deadline even if this has not ended. */
  runPodSandbox(sandbox: ToldSandbox, call: HookCall): Promise<void>;
  /**
   * A text: the runtime refuses to create the container with it. Undefined: no objection. If the deadline passes, or this throws, the
   * container is refused if `mustDecide(sandbox)`, and created otherwise.
   */
  createContainer(sandbox: ToldSandbox, container: ToldContainer, call: HookCall): Promise<string | undefined>;
  mustDecide(sandbox: ToldSandbox): boolean;
  stopPodSandbox(sandboxId: string): void;
  removePodSandbox(sandboxId: string): void;
  /** The connection is registered and synchronized (true), or lost (false): strictly in turns, true before `synchronized`. */
  connected(is: boolean): void;
}

/** Hooks the runtime waits for. */
export type AwaitedHook = 'runPodSandbox' | 'createContainer';

/** `late`: answered at the deadline, the hook had not ended. `failed`: the hook threw. `refused`: it objected to the container. */
export type HookOutcome = 'done' | 'refused' | 'failed' | 'late';

/** For metrics: numbers only, the log has the words. */
export interface PluginObserver {
  /** The answer to an awaited hook went out. `isRefusal`: the runtime was told not to create the container, for whatever reason. */
  answered(answer: {
    readonly hook: AwaitedHook;
    readonly outcome: HookOutcome;
    readonly isRefusal: boolean;
    readonly durationMs: number;
  }): void;
  /** A connection got as far as being registered and synchronized. */
  connected(): void;
  /** Such a connection was lost, other than by our own end. */
  lost(): void;
  /** A connection ended before it was synchronized: refused, mute, or not understood. An absent or refusing socket is none. */
  rejected(): void;
}
