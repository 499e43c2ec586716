import { parseArgs } from 'node:util';
import { BACKEND_NAMES, type BackendName } from '../../src/backend/backend.ts';
import { warmThreadPool } from '../../src/netns/netns.ts';
import { findPilotAgent, NO_PILOT_AGENT } from './pilot-agent.ts';
import { reportJson, reportText } from './report.ts';
import { runDifferential, type RunOptions } from './run.ts';
import { isClean, type Tally } from './tally.ts';
import { createWorld } from './world.ts';

/** The long run: `node scripts/differential.ts [--policies N] [--packets N] [--istio N] [--seed N] [--backend NAME] [-o json]`. */
const PROGRESS_MS = 2_000;
const SEEDS = 2 ** 31;

if (import.meta.main) process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      policies: { type: 'string', default: '2000' },
      packets: { type: 'string', default: '50' },
      istio: { type: 'string', default: '500' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * SEEDS)) },
      backend: { type: 'string', default: 'nft' },
      output: { type: 'string', short: 'o', default: 'text' },
    },
  });
  const pilotAgent = await findPilotAgent();
  if (pilotAgent === undefined) process.stderr.write(`Istio is not asked: ${NO_PILOT_AGENT}\n`);
  const policies = count('policies', values.policies);
  const options: RunOptions = {
    policies,
    packets: count('packets', values.packets),
    istioPolicies: Math.min(policies, count('istio', values.istio)),
    seed: count('seed', values.seed),
    backend: backendNamed(values.backend),
    pilotAgent,
    onProgress: progressOf(policies),
  };
  const result = await inWorlds((worlds) => runDifferential(worlds, options));
  process.stdout.write(values.output === 'json' ? reportJson(result, options) : reportText(result, options));
  return isClean(result.tally) ? 0 : 1;
}

/** Makes both worlds for the time of `work`. */
export async function inWorlds<T>(
  work: (worlds: Readonly<Record<'ours' | 'istio', ReturnType<typeof createWorld>>>) => T,
): Promise<T> {
  await warmThreadPool();
  const ours = createWorld();
  try {
    const istio = createWorld();
    try {
      return work({ ours, istio });
    } finally {
      istio.close();
    }
  } finally {
    ours.close();
  }
}

function progressOf(policies: number): (tally: Tally) => void {
  let toldMs = performance.now();
  return ({ total: { kernel, nft, iptables } }) => {
    if (performance.now() - toldMs < PROGRESS_MS) return;
    toldMs = performance.now();
    const wrong = kernel.mismatches + nft.unexplained + iptables.unexplained;
    process.stderr.write(
      `… ${kernel.policies} of ${policies} policies, ${kernel.packets} packets, ${nft.policies} asked of Istio, ${wrong} wrong\n`,
    );
  };
}

function backendNamed(text: string): BackendName {
  const found = BACKEND_NAMES.find((name) => name === text);
  if (found === undefined) throw new Error(`--backend ${text}: one of ${BACKEND_NAMES.join(', ')} is needed`);
  return found;
}

function count(name: string, text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new Error(`--${name} ${text}: a number is needed`);
  return Number(text);
}
