import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { KNOWN_DIFFERENCES, KNOWN_FAILURES } from '../differential/known-differences.ts';
import { inWorlds } from '../differential/main.ts';
import { findPilotAgent, NO_PILOT_AGENT } from '../differential/pilot-agent.ts';
import { reportText } from '../differential/report.ts';
import { runDifferential, type RunOptions } from '../differential/run.ts';

/** The short run of `node scripts/differential.ts`: the same policies and packets every time. */
const SHORT = {
  policies: 40,
  packets: 40,
  istioPolicies: 6,
  seed: 20_261_124,
  backend: 'nft',
  onProgress: () => undefined,
} as const;

let pilotAgent: string | undefined;
beforeAll(async () => {
  pilotAgent = await findPilotAgent();
});

/** What fails is shrunk first. */
const TIMEOUT_MS = 300_000;

describe('random packets at random policies', { timeout: TIMEOUT_MS }, () => {
  it('end in the kernel where the simulator says', async () => {
    const { tally, text } = await run({ ...SHORT, pilotAgent: undefined });
    expect(tally.total.kernel.mismatches, text).toBe(0);
    expect(tally.total.kernel.policies).toBe(SHORT.policies);
    expect(tally.total.kernel.packets).toBeGreaterThan(1_000);
  });

  it("end under our rules where they end under Istio's, by either of its backends", async ({ skip }) => {
    if (pilotAgent === undefined) {
      process.stderr.write(`skipped: ${NO_PILOT_AGENT}\n`);
      return skip(NO_PILOT_AGENT);
    }
    const { tally, text } = await run({ ...SHORT, policies: SHORT.istioPolicies, pilotAgent });
    for (const mode of ['nft', 'iptables'] as const) {
      expect(tally.total[mode].unexplained, text).toBe(0);
      expect(tally.total[mode].policies).toBe(SHORT.istioPolicies);
      expect(tally.total[mode].packets).toBeGreaterThan(100);
    }
  });
});

it.each([...KNOWN_DIFFERENCES, ...KNOWN_FAILURES])('the difference "$title" stands in the docs', ({ title }) => {
  const docs = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'differences.md'), 'utf8');
  expect(docs).toContain(`\n| ${title} |`);
});

async function run(options: RunOptions) {
  const result = await inWorlds((worlds) => runDifferential(worlds, options));
  const text = reportText(result, options);
  process.stdout.write(`${text.split('\n').slice(-4).join('\n')}\n`);
  return { ...result, text };
}
