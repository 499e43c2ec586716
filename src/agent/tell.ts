import { messageOf } from '../errors.ts';
import type { Pod } from '../pod/pod.ts';
import { podKey } from '../pod/pod.ts';
import type { Log } from '../telemetry/log.ts';
import type { Settled, Step, StepContext } from './plan.ts';
import type { Records } from './records.ts';
import { type AnnotationPatch, capturedAnnotations, failedAnnotations, isAboutCapture } from './report.ts';

/** Tells people how a pod fares: annotations through `pods/status`, and one Event per outcome. Never what the gate depends on. */
export interface Teller {
  tell(step: TellStep, context: StepContext): Promise<void>;
}

/** One Event about a pod; the client adds names, times and the reporting controller. */
export interface PodNotice {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: string;
  readonly note: string;
}

type TellStep = Extract<Step, { action: 'tell' }>;

export interface TellerOptions {
  readonly records: Records;
  readonly patchAnnotations: (pod: Pod, patch: AnnotationPatch) => Promise<'patched' | 'gone'>;
  /** Must not throw for a failed write: an Event is never worth a retry of the pod. */
  readonly createEvent: (pod: Pod, notice: PodNotice) => Promise<void>;
  readonly bootId: string;
  readonly wallClock: () => Date;
  readonly log: Log;
}

export function createTeller(options: TellerOptions): Teller {
  async function tell(step: TellStep, { pod }: StepContext): Promise<void> {
    const settled = options.records.find(pod.uid)?.settled;
    const patch = annotationsFor(pod, step, settled);
    if (patch !== undefined) {
      const result = await options.patchAnnotations(pod, patch);
      options.log.debug('annotated', { pod: podKey(pod), result });
    }
    options.records.told(pod.uid, step.key);
    const notice = noticeFor(step, settled);
    if (notice !== undefined) await announce(pod, notice);
  }

  function annotationsFor(pod: Pod, step: TellStep, settled: Settled | undefined): AnnotationPatch | undefined {
    if (!isAboutCapture(step.decision)) return undefined;
    if (step.decision.action === 'refuse')
      return failedAnnotations(pod, `${step.decision.reason}: ${step.decision.message}`);
    if (settled?.capture === undefined) return undefined;
    return capturedAnnotations(pod, {
      policy: settled.outcome,
      sandbox: settled.sandboxId,
      netns: settled.capture.netnsCookie,
      boot: options.bootId,
      backend: settled.capture.backend,
      at: options.wallClock().toISOString(),
      ms: Math.round(settled.capture.timingsMs.total * 100) / 100,
    });
  }

  async function announce(pod: Pod, notice: PodNotice): Promise<void> {
    try {
      await options.createEvent(pod, notice);
    } catch (error: unknown) {
      options.log.warn('event not written', { pod: podKey(pod), reason: notice.reason, error: messageOf(error) });
    }
  }

  return { tell };
}

/** Nothing is announced when nothing changed in the netns: an agent restart stays silent. */
function noticeFor(step: TellStep, settled: Settled | undefined): PodNotice | undefined {
  const { decision } = step;
  if (decision.action === 'refuse') {
    return { type: 'Warning', reason: decision.reason, action: 'Refuse', note: decision.message };
  }
  if (decision.action === 'ignore') {
    return { type: 'Warning', reason: decision.reason, action: 'Ignore', note: decision.message };
  }
  if (settled?.capture === undefined || settled.capture.action === 'kept') return undefined;
  const ms = settled.capture.timingsMs.total.toFixed(1);
  const note = `Traffic capture is in place and proven (policy ${settled.outcome}, ${ms} ms).`;
  return {
    type: 'Normal',
    reason: decision.reason === 'CaptureNone' ? 'CaptureNone' : 'Captured',
    action: 'Capture',
    note,
  };
}
