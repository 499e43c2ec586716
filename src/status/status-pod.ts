import * as v from 'valibot';
import { CAPTURE_ANNOTATION, MESSAGE_ANNOTATION, STATUS_ANNOTATION } from '../agent/report.ts';
import { gateName } from '../capture/gate-container.ts';
import { parsePod } from '../pod/parse-pod.ts';
import type { Pod } from '../pod/pod.ts';
import { plainText } from './plain-text.ts';

/** A pod as the API server has it, and what its status and annotations say about capture. */
export interface StatusPod {
  readonly pod: Pod;
  readonly createdMs: number | undefined;
  /** Undefined: no init container of it is a gate. */
  readonly gate: Gate | undefined;
  /** Why the scheduler has not placed it, if it has said so. */
  readonly unscheduled: string | undefined;
  readonly report: Report;
}

/** The init container that waits for capture: ours, or Istio's own check. */
export interface Gate {
  readonly container: string;
  /** `unknown`: kubelet has not said a word about it. */
  readonly state: 'unknown' | 'waiting' | 'running' | 'terminated';
  readonly startedMs: number | undefined;
  readonly exitCode: number | undefined;
  /** Kubelet's, such as `ImagePullBackOff`. */
  readonly reason: string;
}

/** What the agent wrote on the pod, or somebody in its name: shown, never believed. Every text is fit for a terminal. */
export interface Report {
  /** `initialized`, `failed`, or anything. */
  readonly status: string | undefined;
  readonly message: string;
  readonly policyHash: string | undefined;
  readonly sandbox: string | undefined;
  readonly backend: string | undefined;
  readonly atMs: number | undefined;
  readonly tookMs: number | undefined;
}

const time = v.nullish(v.string());
const ContainerStatusShape = v.object({
  name: v.string(),
  state: v.nullish(
    v.object({
      waiting: v.nullish(v.object({ reason: v.nullish(v.string(), '') })),
      running: v.nullish(v.object({ startedAt: time })),
      terminated: v.nullish(
        v.object({ startedAt: time, exitCode: v.nullish(v.number()), reason: v.nullish(v.string(), '') }),
      ),
    }),
  ),
});
const StatusShape = v.object({
  metadata: v.object({ creationTimestamp: time }),
  status: v.nullish(
    v.object({
      initContainerStatuses: v.fallback(v.nullish(v.array(ContainerStatusShape), []), []),
      conditions: v.fallback(
        v.nullish(v.array(v.object({ type: v.string(), status: v.string(), message: v.nullish(v.string(), '') })), []),
        [],
      ),
    }),
  ),
});
const ReportShape = v.object({
  policy: v.fallback(v.optional(v.string()), undefined),
  sandbox: v.fallback(v.optional(v.string()), undefined),
  backend: v.fallback(v.optional(v.string()), undefined),
  at: v.fallback(v.optional(v.string()), undefined),
  ms: v.fallback(v.optional(v.number()), undefined),
});

/** A Pod as the API gives it → what `status` shows of it. Throws `ApiReply` naming the pod. */
export function parseStatusPod(object: unknown): StatusPod {
  const pod = parsePod(object);
  const parsed = v.safeParse(StatusShape, object);
  const { metadata, status } = parsed.success
    ? parsed.output
    : { metadata: { creationTimestamp: undefined }, status: undefined };
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  return {
    pod,
    createdMs: millis(metadata.creationTimestamp),
    gate: gateOf(pod, status?.initContainerStatuses ?? []),
    unscheduled: scheduled?.status === 'False' ? plainText(scheduled.message ?? '') : undefined,
    report: reportOf(pod.annotations),
  };
}

function gateOf(pod: Pod, statuses: readonly v.InferOutput<typeof ContainerStatusShape>[]): Gate | undefined {
  const name = gateName(pod);
  if (name === undefined) return undefined;
  const state = statuses.find((status) => status.name === name)?.state;
  const base = { container: name, startedMs: undefined, exitCode: undefined, reason: '' };
  if (state?.running) return { ...base, state: 'running', startedMs: millis(state.running.startedAt) };
  if (state?.terminated) {
    const { startedAt, exitCode, reason } = state.terminated;
    return {
      ...base,
      state: 'terminated',
      startedMs: millis(startedAt),
      exitCode: exitCode ?? undefined,
      reason: plainText(reason ?? ''),
    };
  }
  if (state?.waiting) return { ...base, state: 'waiting', reason: plainText(state.waiting.reason ?? '') };
  return { ...base, state: 'unknown' };
}

function reportOf(annotations: Pod['annotations']): Report {
  const status = annotations[STATUS_ANNOTATION];
  const written = v.safeParse(ReportShape, jsonOf(annotations[CAPTURE_ANNOTATION]));
  const { policy, sandbox, backend, at, ms } = written.success ? written.output : {};
  return {
    status: status === undefined ? undefined : plainText(status, WORD_BYTES),
    message: plainText(annotations[MESSAGE_ANNOTATION] ?? ''),
    policyHash: word(policy),
    sandbox: word(sandbox),
    backend: word(backend),
    atMs: millis(at),
    tookMs: ms !== undefined && Number.isFinite(ms) && ms >= 0 ? ms : undefined,
  };
}

/** A sandbox id has 64 characters. */
const WORD_BYTES = 64;
/** The agent writes some hundred bytes. */
const REPORT_LENGTH_MAX = 4_096;

function word(text: string | undefined): string | undefined {
  return text === undefined ? undefined : plainText(text, WORD_BYTES);
}

function jsonOf(text: string | undefined): unknown {
  if (text === undefined || text.length > REPORT_LENGTH_MAX) return {};
  try {
    return JSON.parse(text);
  } catch {
    // Anybody who may edit the pod may have written nonsense here.
    return {};
  }
}

function millis(text: string | null | undefined): number | undefined {
  const value = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}
