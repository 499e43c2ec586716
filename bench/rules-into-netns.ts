import { setTimeout as delay } from 'node:timers/promises';
import { captureNetns, type CaptureOutcome } from '../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../src/agent/netns-effects.ts';
import { buildRuleset } from '../src/ruleset/build.ts';
import { planProbes } from '../src/ruleset/probe-plan.ts';
import { PLAIN, policyOf } from '../test/differential/inputs.ts';
import { findPilotAgent, NO_PILOT_AGENT } from '../test/differential/pilot-agent.ts';
import { inFreshNetns } from './pod-netns.ts';
import type { Context, Question } from './question.ts';
import type { Result } from './result.ts';
import { inRounds, measureInto, type Sample, type Step } from './rounds.ts';
import { BURST, describeRules, PACED } from './rules-result.ts';
import { floorWays, istioWays, oneProcessPerRule, ourRulesSpawned, type SpawnedWay } from './spawned-ways.ts';

/**
 * The same capture (both families, Istio's defaults) into a fresh netns: by ours in its own process, and by every way that starts
 * programs. In turn, in one run; who comes first changes each round.
 */
export const rulesIntoNetns: Question = {
  id: 'a',
  title: 'How long do rules into one netns take?',
  budgetMinutes: 3,
  needs: 'netns',
  run: measure,
};

const ROUNDS = 60;
const BACK_TO_BACK = 4;
/** Nothing runs before one of the paced: caches are as cold as in an agent that waits for the next pod. */
const PACE_MS = 200;
/** The agent lives for months: its first captures, which compile it, are told apart. */
const WARM_UP = 30;

async function measure(ctx: Context): Promise<readonly Result[]> {
  const effects = await kernelEffects({ backend: 'nft' });
  const policy = policyOf(PLAIN);
  const desired = { ruleset: buildRuleset(policy), probes: planProbes(policy) };
  const pilotAgent = await findPilotAgent();
  if (pilotAgent === undefined) ctx.say(`without Istio’s tool: ${NO_PILOT_AGENT}`);
  const spawned = waysOf(pilotAgent, desired.ruleset);
  for (const way of spawned) if (!way.floor) prove(way, desired.probes, effects);

  const samples = new Map([PACED, BURST, ...spawned.map(({ name }) => name)].map((name) => [name, newSample()]));
  const outcomes: CaptureOutcome[] = [];
  const capture = (path: string, name: string): CaptureOutcome =>
    measureInto(samples.get(name) ?? newSample(), () =>
      captureNetns({ netnsPath: path, podIPs: [], ...desired }, effects),
    );
  const firstMs = warmUp((path) => capture(path, 'warm-up').timingsMs.total);
  const ours: Step = {
    netnses: 1 + BACK_TO_BACK,
    work: async ([paced, ...burst]) => {
      await delay(PACE_MS);
      if (paced !== undefined) capture(paced.path, PACED);
      for (const { path } of burst) outcomes.push(capture(path, BURST));
    },
  };
  const theirs = spawned.map(
    (way): Step => ({
      netnses: 1,
      work: (fresh) => {
        for (const netns of fresh) measureInto(samples.get(way.name) ?? newSample(), () => way.run(netns));
      },
    }),
  );
  const rounds = await inRounds(ctx, [ours, ...theirs], ROUNDS);
  const facts = {
    rounds,
    'in each round': `every way once, ours ${1 + BACK_TO_BACK} times; the order turns`,
    'first capture of our process, before anything was compiled, ms': firstMs,
    'captures before the first that counts': WARM_UP,
  };
  return [ctx.result(describeRules({ samples, spawned, outcomes, facts }))];
}

const newSample = (): Sample => ({ ms: [], cpuMs: [] });

/** Returns what the first of all took. */
function warmUp(capture: (path: string) => number): number {
  const [firstMs = Number.NaN] = Array.from({ length: WARM_UP }, () => inFreshNetns(({ path }) => capture(path)));
  return firstMs;
}

function waysOf(pilotAgent: string | undefined, ruleset: ReturnType<typeof buildRuleset>): readonly SpawnedWay[] {
  const own = [...ourRulesSpawned(ruleset), ...floorWays(pilotAgent)];
  if (pilotAgent === undefined) return own;
  const istio = istioWays(pilotAgent, PLAIN);
  return [...own, istio.iptables, istio.nft, oneProcessPerRule(istio.iptables)];
}

/** A way that captures nothing would be fast. */
function prove(way: SpawnedWay, probes: ReturnType<typeof planProbes>, effects: NetnsEffects): void {
  inFreshNetns((fresh) => {
    way.run(fresh);
    const netns = effects.open(fresh.path);
    try {
      const results = effects.enter(netns, () => effects.runProbes(probes, { exemptInterfaces: [] }));
      const failed = results.find(({ outcome }) => outcome !== 'proven');
      if (failed !== undefined) throw new Error(`${way.name} does not capture: ${failed.detail}`);
    } finally {
      netns.close();
    }
  });
}
