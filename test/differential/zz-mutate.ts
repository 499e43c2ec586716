import fc from 'fast-check';
import { warmThreadPool } from '../../src/netns/netns.ts';
import { buildRuleset } from '../../src/ruleset/build.ts';
import { caseArbitrary, trialOf, type Case } from './arbitraries.ts';
import { fly } from './engine.ts';
import { policyOf } from './inputs.ts';
import { judgeSimulator } from './judge.ts';
import { ourProgrammer } from './ours.ts';
import { createWorld } from './world.ts';
await warmThreadPool();
const world = createWorld();
const cases = fc.sample(fc.property(caseArbitrary(40), (_: Case) => true), { seed: 20261124, numRuns: 200 }).map(([c]) => c);
const key = (chain: string, reason: string, kind: string) => `${chain}: ${reason.replace(/:.*/, '')} → ${kind}`;
const kinds = new Map<string, number[]>();
const built = cases.map((c) => buildRuleset(policyOf(c.inputs)));
built.forEach((r, i) => r.chains.forEach((ch) => ch.rules.forEach((ru) => { const k = key(ch.name, ru.reason, ru.verdict.kind); const l = kinds.get(k) ?? []; if (!l.includes(i)) l.push(i); kinds.set(k, l); })));
let missed = 0;
for (const [k, list] of [...kinds].sort()) {
  let caught = 0, tried = 0;
  for (const i of list.slice(0, 40)) {
    const c = cases[i]!, ruleset = built[i]!; tried++;
    const broken = { ...ruleset, chains: ruleset.chains.map((ch) => ({ ...ch, rules: ch.rules.filter((ru) => key(ch.name, ru.reason, ru.verdict.kind) !== k) })) };
    const trials = c.picks.flatMap((p) => trialOf(c.inputs, p) ?? []);
    const [uid = 0] = c.inputs.uids, [gid = 0] = c.inputs.gids;
    const seen = fly(world, { proxy: { ...c.inputs, uid, gid, away: c.proxyAway }, trials, programmer: ourProgrammer(world, broken) });
    caught = seen.filter((s, n) => judgeSimulator({ inputs: c.inputs, ruleset, proxyAway: c.proxyAway }, trials[n]!, s) !== undefined).length;
    if (caught > 0) break;
  }
  if (!caught) missed++;
  console.log(caught ? 'caught' : 'MISSED', `after ${tried} of ${list.length}`, k);
}
console.log(kinds.size, 'kinds,', missed, 'missed');
world.close();
