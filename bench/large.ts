import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { captureNetns, type CaptureOutcome } from '../src/agent/capture-netns.ts';
import { kernelEffects } from '../src/agent/netns-effects.ts';
import { renderNft } from '../src/backend/nft/render.ts';
import { createLab, type NetnsLab, SERVICE } from '../test/support/netns-lab.ts';
import { desiredOf } from '../test/support/netns-policy.ts';
import { spread } from './spread.ts';

/**
 * A policy with 1,000 excluded ranges and 64 excluded ports: how large is its one transaction, how long does it take, and what does its
 * length cost per connection? Connections to a captured address, which no exclusion lets go early, alternating with the same policy
 * without exclusions, in one run. What counts is the ratio.
 */
const [RANGES, PORTS] = [1_000, 64];
const APPLIES = 15;
const ROUNDS = 20;
const ROUND_MS = 500;

const small = desiredOf({ annotations: { excludeOutboundPorts: '', excludeInboundPorts: '' } });
const large = desiredOf({
  annotations: {
    // Every other /24, so that none of them join: half in each family.
    excludeOutboundIPRanges: Array.from({ length: RANGES / 2 }, (_, index) => [
      `10.${index >> 7}.${(index & 127) * 2}.0/24`,
      `2001:db8:8000:${(index * 2).toString(16)}::/64`,
    ])
      .flat()
      .join(','),
    excludeOutboundPorts: Array.from({ length: PORTS }, (_, index) => 9_000 + 2 * index).join(','),
  },
});

const effects = await kernelEffects({ backend: 'nft' });
process.stdout.write(`${RANGES} excluded ranges and ${PORTS} excluded ports, in one transaction\n`);
size('no exclusions', small);
size('with them', large);
const lab = createLab();
try {
  await rates(lab);
} finally {
  lab.close();
}

function size(name: string, desired: typeof small): void {
  const totals: CaptureOutcome['timingsMs'][] = [];
  for (let turn = 0; turn < APPLIES; turn += 1) totals.push(inFreshNetns(desired).timingsMs);
  const text = (['apply', 'readBack', 'probe', 'total'] as const).map((stage) => {
    const { p50, p90 } = spread(totals.map((one) => one[stage]));
    return `${stage} p50 ${p50.toFixed(2)} p90 ${p90.toFixed(2)}`;
  });
  const rules = desired.ruleset.chains.reduce((sum, chain) => sum + chain.rules.length, 0);
  const bytes = Buffer.byteLength(renderNft(desired.ruleset));
  process.stdout.write(`  ${name.padEnd(14)} ${bytes} bytes, ${rules} rules, ms: ${text.join('  ')}\n`);
}

function inFreshNetns(desired: typeof small): CaptureOutcome {
  const fresh = createLab();
  try {
    return captureNetns({ netnsPath: fresh.pod.path, podIPs: [], ...desired }, effects);
  } finally {
    fresh.close();
  }
}

async function rates({ pod }: NetnsLab): Promise<void> {
  captureNetns({ netnsPath: pod.path, podIPs: [], ...small }, effects);
  // A finished connection keeps its source port in conntrack for a while: with so many a second, ports would run out.
  for (const state of ['time_wait', 'close', 'fin_wait', 'last_ack', 'close_wait']) {
    pod.run('sysctl', '-qw', `net.netfilter.nf_conntrack_tcp_timeout_${state}=1`);
  }
  const serve = await actor(pod.name, { uid: 1337, what: 'serve' });
  const dial = await actor(pod.name, { uid: 1000, what: SERVICE[4] });
  const perSecond: Record<'small' | 'large', number[]> = { small: [], large: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    // Who goes first changes, so that a machine that slows down does not favour one.
    for (const name of round % 2 === 0 ? (['small', 'large'] as const) : (['large', 'small'] as const)) {
      captureNetns({ netnsPath: pod.path, podIPs: [], ...{ small, large }[name] }, effects);
      const answered = once(dial, 'message');
      dial.send(ROUND_MS);
      const [count]: number[] = await answered;
      perSecond[name].push(((count ?? 0) * 1_000) / ROUND_MS);
    }
  }
  for (const child of [serve, dial]) child.kill('SIGKILL');
  const ratios = perSecond.large.map((rate, round) => rate / (perSecond.small[round] ?? Number.NaN));
  const { small: none, large: many } = perSecond;
  process.stdout.write(`connects/s over ${ROUNDS} rounds of ${ROUND_MS} ms, alternating\n`);
  for (const [name, values] of [
    ['no exclusions', none],
    ['with them', many],
  ] as const) {
    process.stdout.write(
      `  ${name.padEnd(14)} p50 ${spread(values).p50.toFixed(0)}  min ${Math.min(...values)}  max ${spread(values).max}\n`,
    );
  }
  const { p50, max } = spread(ratios);
  process.stdout.write(
    `  ratio per round p50 ${p50.toFixed(3)}  min ${Math.min(...ratios).toFixed(3)}  max ${max.toFixed(3)}\n`,
  );
}

async function actor(netns: string, { uid, what }: { readonly uid: number; readonly what: string }) {
  const script = fileURLToPath(new URL('./connect-rate.ts', import.meta.url));
  const argv = ['netns', 'exec', netns, process.execPath, script, String(uid), what];
  const child = spawn('ip', argv, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  child.on('exit', (code) => {
    if (code !== null) throw new Error(`${script} ended with ${code}`);
  });
  await once(child, 'message');
  return child;
}
