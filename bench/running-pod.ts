import { kernelEffects } from '../src/agent/netns-effects.ts';
import { findPilotAgent, NO_PILOT_AGENT } from '../test/differential/pilot-agent.ts';
import { measureExclusions } from './exclusions.ts';
import type { Context, Question } from './question.ts';
import { measureReApply } from './re-apply.ts';
import type { Result } from './result.ts';

export const runningPod: Question = {
  id: 'f',
  title: 'What do rules, and changes of rules, cost a running pod?',
  budgetMinutes: 3,
  needs: 'netns',
  run: measure,
};

/** Of what is left when it begins, for what comes after; and for the end. */
const AFTER_EXCLUSIONS_SHARE = 0.6;
const AFTER_RE_APPLY_MS = 10_000;

async function measure(ctx: Context): Promise<readonly Result[]> {
  const effects = await kernelEffects({ backend: 'nft' });
  const pilotAgent = await findPilotAgent();
  if (pilotAgent === undefined) ctx.say(`without Istio’s tool: ${NO_PILOT_AGENT}`);
  const exclusions = await measureExclusions(ctx, {
    effects,
    pilotAgent,
    untilLeftMs: ctx.leftMs() * AFTER_EXCLUSIONS_SHARE,
  });
  return [await measureReApply(ctx, { pilotAgent, untilLeftMs: AFTER_RE_APPLY_MS }), ...exclusions];
}
