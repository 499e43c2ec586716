import { ControllerError, type ErrorCode, isControllerError, messageOf } from '../errors.ts';
import type { Pod } from '../pod/pod.ts';
import { podKey } from '../pod/pod.ts';
import { runtimePodUid, type SandboxDetails, type SandboxRuntime } from '../sandbox/sandbox.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { CaptureEffect, CaptureSession } from './capture-netns.ts';
import { outcomeOf, type Step, type StepContext } from './plan.ts';
import type { Records } from './records.ts';
import type { SandboxWatch } from './sandbox-watch.ts';
import type { Teller } from './tell.ts';

export interface StepEffects {
  readonly capture: CaptureEffect;
  readonly runtime: SandboxRuntime;
  readonly records: Records;
  readonly sandboxes: SandboxWatch;
  readonly teller: Teller;
  readonly nowMs: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

type StepOf<A extends Step['action']> = Extract<Step, { action: A }>;

/** Carries out one step; throws a typed error, which the queue turns into a back-off. */
export async function carryOut(effects: StepEffects, step: Step, context: StepContext): Promise<void> {
  switch (step.action) {
    case 'awaitSandbox':
      return effects.sandboxes.expect(podKey(context.pod), runtimePodUid(context.pod));
    case 'capture':
      return capture(effects, step, context);
    case 'refuse':
      return refuse(effects, step, context);
    case 'tell':
      return effects.teller.tell(step, context);
  }
}

/** Rules, proof, a second look at the sandbox, mark. */
async function capture(effects: StepEffects, step: StepOf<'capture'>, context: StepContext): Promise<void> {
  const { sandbox, ruleset } = step;
  const netnsPath = netnsPathOf(sandbox, context.pod);
  effects.metrics.count('netnsEntries', { purpose: 'capture' });
  let session: CaptureSession | undefined;
  try {
    session = effects.capture.begin({
      netnsPath,
      podIPs: sandbox.ips,
      ruleset,
      probes: step.probes,
      ownUserNamespace: !context.pod.hostUsers,
    });
    if (session.action !== 'kept') await requireSame(effects.runtime, sandbox, context);
    const outcome = session.finish();
    effects.records.settle(context.pod.uid, { sandboxId: sandbox.id, outcome: ruleset.policyHash, capture: outcome });
    effects.metrics.count('captures', { action: outcome.action });
    effects.metrics.observe('captureSeconds', outcome.timingsMs.total / 1000);
    observeSeenToMarked(effects, context.pod.uid, outcome.action);
    effects.log.info('captured', {
      pod: podKey(context.pod),
      sandbox: sandbox.id,
      policy: ruleset.policyHash,
      ...outcome,
    });
  } catch (error: unknown) {
    explainInNetns(effects, netnsPath, sandbox, error);
    throw error;
  } finally {
    session?.close();
  }
}

async function refuse(effects: StepEffects, step: StepOf<'refuse'>, context: StepContext): Promise<void> {
  const { sandbox } = step;
  effects.metrics.count('netnsEntries', { purpose: 'refuse' });
  const netnsPath = netnsPathOf(sandbox, context.pod);
  const written = effects.capture.refuse({ netnsPath, podIPs: sandbox.ips, code: step.code, text: step.text });
  const { desired } = context;
  if (desired.kind !== 'ignore')
    effects.records.settle(context.pod.uid, {
      sandboxId: sandbox.id,
      outcome: outcomeOf(desired),
      capture: undefined,
      keptReady: written === 'keptReady',
    });
  effects.log.warn('refused', {
    pod: podKey(context.pod),
    sandbox: sandbox.id,
    reason: step.code,
    text: step.text,
    written,
  });
}

/** Same id, still ready, same netns: otherwise the netns just programmed is not, or no longer, the pod's. */
async function requireSame(runtime: SandboxRuntime, sandbox: SandboxDetails, context: StepContext): Promise<void> {
  const now = await runtime.details(sandbox.id);
  if (now?.ready === true && now.netnsPath === sandbox.netnsPath && context.stillCurrent()) return;
  throw new ControllerError(
    'SandboxReplaced',
    `pod ${podKey(context.pod)}: sandbox ${sandbox.id} is no longer the pod's`,
    {
      fields: { sandbox: sandbox.id },
    },
  );
}

function netnsPathOf(sandbox: SandboxDetails, pod: Pod): string {
  if (sandbox.hostNetwork) {
    throw new ControllerError(
      'NetnsIsHost',
      `pod ${podKey(pod)}: the runtime says its sandbox uses the host's network`,
    );
  }
  if (sandbox.netnsPath === undefined) {
    throw new ControllerError(
      'RuntimeReply',
      `pod ${podKey(pod)}: the runtime names no netns for sandbox ${sandbox.id}`,
      {
        hint: 'The runtime must report runtimeSpec.linux.namespaces in a verbose PodSandboxStatus (containerd, CRI-O), or be cri-dockerd.',
      },
    );
  }
  return sandbox.netnsPath;
}

/** Failures that will not pass by themselves are told in the netns, so that the gate can print them; a failed proof already is. */
const TOLD_IN_NETNS: readonly ErrorCode[] = ['NftRejected', 'NftTooOld'];

function explainInNetns(effects: StepEffects, netnsPath: string, sandbox: SandboxDetails, error: unknown): void {
  if (!isControllerError(error, ...TOLD_IN_NETNS)) return;
  try {
    effects.capture.refuse({ netnsPath, podIPs: sandbox.ips, code: error.code, text: error.message });
  } catch (second: unknown) {
    effects.log.debug('could not write the refusal', { netns: netnsPath, error: messageOf(second) });
  }
}

function observeSeenToMarked(effects: StepEffects, uid: string, action: string): void {
  const record = effects.records.find(uid);
  if (record === undefined || action === 'kept') return;
  effects.metrics.observe('seenToMarkedSeconds', (effects.nowMs() - record.firstSeenMs) / 1000);
}
