import { NO_DEFAULTS } from '../capture/policy.ts';
import type { Namespace, Pod } from '../pod/pod.ts';
import { parsePod } from '../pod/parse-pod.ts';
import type { ToldSandbox } from '../sandbox/nri/plugin-hooks.ts';
import type { SandboxDetails } from '../sandbox/sandbox.ts';
import type { CaptureEffect, CaptureOutcome } from './capture-netns.ts';
import { createReconciler } from './reconcile.ts';
import { createRecords } from './records.ts';
import { createRuntimeHooks } from './runtime-hooks.ts';
import { createSandboxSource } from './sandbox-source.ts';
import type { AnnotationPatch } from './report.ts';
import type { SandboxWatch } from './sandbox-watch.ts';
import { carryOut } from './steps.ts';
import type { RefusalOutcome } from './tend-netns.ts';
import { createTeller, type PodNotice } from './tell.ts';
import { createToldSandboxes } from './told-sandboxes.ts';

const quiet = () => undefined;
const ENROLLMENT = { excludedNamespaces: ['kube-system'], enroll: 'annotated', sidecarName: 'istio-proxy' } as const;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

const DNS_CAPTURE = { name: 'gate', args: ['init', '--', 'istio-iptables', '--redirect-dns'] };

/** A pod that takes part, as injected and without a gate. */
export function meshPod(
  changes: { annotations?: Record<string, string>; uid?: string; hostNetwork?: boolean; dnsCapture?: boolean } = {},
): Pod {
  return parsePod({
    metadata: {
      namespace: 'default',
      name: 'a',
      uid: changes.uid ?? 'uid-1',
      resourceVersion: '1',
      annotations: { 'istio-pod-network-controller/initialize': 'true', ...changes.annotations },
    },
    spec: {
      nodeName: 'node',
      hostNetwork: changes.hostNetwork ?? false,
      // Without --skip-rule-apply only queries to the pod's own name servers are captured, and only CRI knows those.
      initContainers: changes.dnsCapture === true ? [DNS_CAPTURE] : [],
      containers: [{ name: 'app' }, { name: 'istio-proxy', args: ['proxy', 'sidecar'] }],
    },
    status: { phase: 'Pending' },
  });
}

/** A ready sandbox of that pod. */
export function sandbox(id: string, changes: Partial<SandboxDetails> = {}): SandboxDetails {
  return {
    id,
    podUid: 'uid-1',
    podName: 'a',
    podNamespace: 'default',
    attempt: 0,
    ready: true,
    createdAtNs: 0n,
    netnsPath: `/var/run/netns/${id}`,
    hostNetwork: false,
    ips: ['10.88.0.2'],
    pid: undefined,
    nameservers: undefined,
    ...changes,
  };
}

/** The same as the runtime tells it in its hooks. */
export function toldSandbox(id: string, changes: Partial<ToldSandbox> = {}): ToldSandbox {
  return {
    id,
    podName: 'a',
    podUid: 'uid-1',
    podNamespace: 'default',
    labels: {},
    annotations: { 'istio-pod-network-controller/initialize': 'true' },
    runtimeHandler: '',
    netnsPath: `/var/run/netns/${id}`,
    ips: ['10.88.0.2'],
    pid: 4711,
    ...changes,
  };
}

/** An agent over fakes that record what was done, or over the real work in a netns; all of it together is tested in test/cluster. */
export function agentOverFakes(options: { readonly capture?: CaptureEffect } = {}) {
  const world = {
    pods: new Map<string, Pod>([['default/a', meshPod()]]),
    namespaces: new Map<string, Namespace>([['default', { name: 'default', annotations: {}, labels: {} }]]),
    sandboxes: [] as SandboxDetails[],
    /** Ids that are gone or another by the time of the second look. */
    goneAtSecondLook: new Set<string>(),
    beginError: undefined as Error | undefined,
    patchError: undefined as Error | undefined,
    action: 'applied' as CaptureOutcome['action'],
    begun: [] as string[],
    marked: [] as string[],
    closed: 0,
    refusals: [] as string[],
    refusal: 'marked' as RefusalOutcome,
    patches: [] as AnnotationPatch[],
    notices: [] as PodNotice[],
    expected: [] as string[],
    guarded: [] as string[],
    decisions: [] as string[],
    listed: 0,
    /** Of a sandbox, as CRI knows them. */
    nameservers: new Map<string, readonly string[]>(),
    nameserversAsked: 0,
  };
  const outcome = (): CaptureOutcome => ({
    action: world.action,
    backend: 'nft',
    netnsCookie: '4711',
    drift: [],
    foreignAlias: undefined,
    unroutable: [],
    timingsMs: { enter: 0, apply: 1, readBack: 0, probe: 0, mark: 0, total: 1.5 },
  });
  const fakeCapture: CaptureEffect = {
    begin: (request) => {
      if (world.beginError !== undefined) throw world.beginError;
      world.begun.push(request.netnsPath);
      return {
        action: world.action,
        finish: () => {
          world.marked.push(request.netnsPath);
          return outcome();
        },
        close: () => {
          world.closed += 1;
        },
      };
    },
    refuse: (request) => {
      world.refusals.push(`${request.code}: ${request.text}`);
      return world.refusal;
    },
    clean: () => ({ tableRemoved: false, routingRemoved: false, markRemoved: false }),
    inspect: () => ({ mark: { kind: 'none' }, drift: [], netnsCookie: '4711' }),
    preferredBackend: () => 'nft',
  };
  const capture = options.capture ?? fakeCapture;
  const cri = {
    version: () => Promise.resolve({ name: 'fake', version: '0' }),
    listReady: () => {
      world.listed += 1;
      return Promise.resolve(world.sandboxes);
    },
    details: (id: string) => {
      const found = world.sandboxes.find((one) => one.id === id);
      if (world.begun.length > 0 && world.goneAtSecondLook.has(id)) return Promise.resolve(undefined);
      return Promise.resolve(found);
    },
    close: quiet,
  };
  const sandboxes: SandboxWatch = {
    expect: (key) => world.expected.push(key),
    guard: (_, __, id) => world.guarded.push(id),
    forget: quiet,
    run: () => Promise.resolve(),
  };
  const records = createRecords({ nowMs: () => 0, onDecision: (_, decision) => world.decisions.push(decision.reason) });
  const teller = createTeller({
    records,
    patchAnnotations: (_, patch) => {
      if (world.patchError !== undefined) return Promise.reject(world.patchError);
      world.patches.push(patch);
      return Promise.resolve('patched');
    },
    createEvent: (_, notice) => {
      world.notices.push(notice);
      return Promise.resolve();
    },
    bootId: 'boot',
    wallClock: () => new Date(0),
    log,
  });
  const metrics = {
    count: quiet,
    observe: quiet,
    set: quiet,
    render: () => Promise.resolve({ contentType: '', text: '' }),
  };
  const told = createToldSandboxes();
  const runtime = createSandboxSource(cri, told);
  const effects = { capture, runtime, records, sandboxes, teller, nowMs: () => 0, log, metrics };
  const reconciler = createReconciler({
    stores: { pod: (key) => world.pods.get(key), namespace: (name) => world.namespaces.get(name) },
    runtime,
    nameserversOf: (id) => {
      world.nameserversAsked += 1;
      return Promise.resolve(world.nameservers.get(id));
    },
    records,
    sandboxes,
    desired: {
      enrollment: ENROLLMENT,
      defaults: NO_DEFAULTS,
    },
    carryOut: (step, context) => carryOut(effects, step, context),
    random: () => 0,
  });
  const agent = { world, records, reconciler, runtime, told, metrics, log };
  return { ...agent, turn: () => reconciler.turn('default/a') };
}

/** The same agent, on a connection to the runtime's hooks. */
export function hookedAgent(options: { readonly capture?: CaptureEffect } = {}) {
  const agent = agentOverFakes(options);
  const { world } = agent;
  const acts: (() => void)[] = [];
  const woken: string[] = [];
  const expectedPods: string[] = [];
  const now = ({ podNamespace, podName }: { podNamespace: string; podName: string }) => {
    const [pod, namespace] = [world.pods.get(`${podNamespace}/${podName}`), world.namespaces.get(podNamespace)];
    return pod === undefined || namespace === undefined ? undefined : { pod, namespace };
  };
  const hooks = createRuntimeHooks({
    ...agent,
    arrivals: {
      now,
      awaited: (expected) => {
        expectedPods.push(expected.podName);
        return Promise.resolve(now(expected));
      },
      changed: quiet,
    },
    namespace: (name) => world.namespaces.get(name),
    enrollment: ENROLLMENT,
    wake: (key) => woken.push(key),
    afterAnswer: (act) => acts.push(act),
  });
  hooks.connected(true);
  /** Keys that were queued once the answers so far had gone out. */
  const answered = (): readonly string[] => {
    const tooEarly = woken.splice(0).map((key) => `${key} before the answer`);
    for (const act of acts.splice(0)) act();
    return [...tooEarly, ...woken.splice(0)];
  };
  return { ...agent, hooks, expectedPods, answered };
}
