import type { Context } from '../question.ts';

/** What a question puts back: the product, installed anew, and Namespaces that go; or Istio in its former mode as well. */
export type PutBack = 'the product' | 'Istio, too';

const CLEAN_UP_MS: Readonly<Record<PutBack, number>> = { 'the product': 70_000, 'Istio, too': 120_000 };

/** Aborts when nothing new may be begun, so that the cluster can still be put back within the budget. What was measured by then counts. */
export function measuringTime(ctx: Pick<Context, 'signal' | 'leftMs'>, putBack: PutBack): AbortSignal {
  const leftMs = Math.max(0, Math.ceil(ctx.leftMs() - CLEAN_UP_MS[putBack]));
  return AbortSignal.any([ctx.signal, AbortSignal.timeout(leftMs)]);
}
