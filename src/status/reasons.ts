import type { ReasonCode } from '../enrollment/reasons.ts';

/** What the cluster says about a mesh pod. `docs/status.md` is tested against this table. */
export const STATES = {
  initialized: 'Its traffic is captured, as far as the cluster can tell: the agent says so, or its gate opened.',
  starting: 'Its gate does not run yet: no node, no sandbox or no image so far.',
  waiting: 'Its gate waits, and with it the sidecar and the application.',
  failed: 'It cannot be captured; the reason says what is wrong. The gate stays shut.',
  deleted: 'It is gone. Only with `--watch`.',
  ignored: 'It does not take part. Only those that asked are shown, and with `--all` every pod.',
} as const;

export type PodState = keyof typeof STATES;

/** Reasons beside those of enrollment (docs/reasons.md), which stand where the pod itself decides. */
export const STATUS_REASONS = {
  NotReported: 'Its gate has opened; the agent has not written its report, or it was removed.',
  NotScheduled: 'It has no node yet.',
  NotStarted: 'Its sandbox, or an image, is not there yet.',
  GateWaits: 'Its gate runs and waits for the agent of its node.',
  GateEnded: 'Its gate ended without opening, such as after its timeout; kubelet starts it again.',
  HeldByRuntime:
    'It has no gate: the container runtime creates its containers while the agent is connected and lets them.',
  AgentMissing: 'There is no agent on its node.',
  AgentNotReady: 'The agent of its node is not ready.',
  StaleReport: 'The report says initialized, but the gate waits: the report is of an earlier sandbox.',
  NoGate: 'It takes part and has no gate: nothing kept its containers from starting before capture.',
  CaptureFailed: 'The agent could not capture it, and says why in its message.',
} as const;

export type StatusReason = ReasonCode | keyof typeof STATUS_REASONS;
