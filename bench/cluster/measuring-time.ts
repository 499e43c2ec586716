import type { Context } from '../question.ts';

/** Istio back to its former mode, the product installed anew, Namespaces gone: longer than what a question has after its budget. */
const CLEAN_UP_MS = 120_000;

/** Aborts when nothing new may be begun, so that the cluster can still be put back in time. What was measured by then counts. */
export function measuringTime(ctx: Pick<Context, 'signal' | 'leftMs'>): AbortSignal {
  return AbortSignal.any([ctx.signal, AbortSignal.timeout(Math.max(0, Math.ceil(ctx.leftMs() - CLEAN_UP_MS)))]);
}
