import { execFileSync, spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { captureEffect } from '../src/agent/capture-netns.ts';
import { renderNft } from '../src/backend/nft/render.ts';
import { NO_DEFAULTS } from '../src/capture/policy.ts';
import { resolvePolicy } from '../src/capture/resolve.ts';
import { readOnePod } from '../src/commands/manifest.ts';
import { buildRuleset } from '../src/ruleset/build.ts';
import { planProbes } from '../src/ruleset/probe-plan.ts';
import { spread } from './spread.ts';

/**
 * `make bench`: rules into one fresh netns, ours (in-process transaction, read back, proof, mark) beside one spawned `nft -f -` with the
 * same rules, alternating in one run. What counts is the ratio: these machines are noisy. Never a test with a limit.
 */
const ROUNDS = 60;
const NETNS = `pnc-bench-${process.pid}`;
const PATH = `/run/netns/${NETNS}`;

const { pod } = readOnePod(join(resolve(import.meta.dirname, '..'), 'examples', 'pod.yaml'));
const resolved = resolvePolicy(pod, NO_DEFAULTS, { sidecarName: 'istio-proxy' });
if (!resolved.ok) throw new Error('examples/pod.yaml has no usable policy');
const ruleset = buildRuleset(resolved.policy);
const probes = planProbes(resolved.policy);
const script = renderNft(ruleset);
const effect = await captureEffect();

const whole: number[] = [];
const transaction: number[] = [];
const spawned: number[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  inFreshNetns(() => {
    const session = effect.begin({ netnsPath: PATH, podIPs: [], ruleset, probes });
    const { timingsMs } = session.finish();
    session.close();
    whole.push(timingsMs.total);
    transaction.push(timingsMs.apply);
  });
  inFreshNetns(() =>
    spawned.push(timed(() => spawnSync('nsenter', [`--net=${PATH}`, 'nft', '-f', '-'], { input: script }))),
  );
}

process.stdout.write(`rules into one fresh netns, ${ROUNDS} rounds each, alternating, ms\n`);
for (const [name, values] of [
  ['ours: rules, read back, proof, mark', whole],
  ['ours: the transaction alone', transaction],
  ['one spawned nft -f -, rules alone', spawned],
] as const) {
  const { p50, p90, max } = spread(values);
  process.stdout.write(`  ${name.padEnd(36)} p50 ${p50.toFixed(2)}  p90 ${p90.toFixed(2)}  max ${max.toFixed(2)}\n`);
}
const ratio = (ours: number[]) => (spread(spawned).p50 / spread(ours).p50).toFixed(1);
process.stdout.write(
  `  p50 of the spawned one over ours: ${ratio(whole)} with proof and mark, ${ratio(transaction)} for the transaction alone\n`,
);

/** A pod-like netns: lo up, routes for both families into a veth whose other end answers nothing. */
function inFreshNetns(work: () => void): void {
  execFileSync('ip', ['netns', 'add', NETNS]);
  try {
    const batch = [
      'link set lo up',
      'link add eth0 type veth peer name peer0',
      'address add 198.51.100.2/24 dev eth0',
      'address add 2001:db8:1::2/64 dev eth0 nodad',
      'link set peer0 up',
      'link set eth0 up',
      'route add default dev eth0',
      'route add ::/0 dev eth0',
    ];
    execFileSync('ip', ['-n', NETNS, '-batch', '-'], { input: batch.join('\n') });
    work();
  } finally {
    execFileSync('ip', ['netns', 'delete', NETNS]);
  }
}

function timed(work: () => { readonly status: number | null }): number {
  const startMs = performance.now();
  const { status } = work();
  if (status !== 0) throw new Error('the spawned nft failed');
  return performance.now() - startMs;
}
