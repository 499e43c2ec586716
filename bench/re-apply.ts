import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { captureNetns } from '../src/agent/capture-netns.ts';
import { kernelEffects } from '../src/agent/netns-effects.ts';
import { BACKEND_NAMES, type BackendName } from '../src/backend/backend.ts';
import { lab } from '../lab/paths.ts';
import { createLoadScene, type LoadCount, type LoadScene } from '../test/support/netns-load-client.ts';
import { variant } from '../test/support/netns-apply-loop.ts';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { spread } from './spread.ts';

/**
 * Rules are changed without pause in a pod under load: what gets past the proxy, and what is refused or lost? Ours beside Istio's own
 * tool, each in a pod of its own, in one run. `node bench/re-apply.ts [--connects 100000] [--only TEXT]`; Istio's tool is the lab's.
 */
const { values } = parseArgs({
  options: { connects: { type: 'string', default: '100000' }, only: { type: 'string', default: '' } },
});
const CONNECTS = Number(values.connects);
const ISTIO_TOOL = join(lab.bin, 'pilot-agent');

/** One way to write rules. `again` changes the policy: it tells whether the tool said that it had. */
interface Applier {
  readonly name: string;
  prepare(scene: LoadScene): Promise<(turn: number) => boolean>;
}

const ours = (backend: BackendName): Applier => ({
  name: `ours, ${backend}`,
  prepare: async ({ lab: { pod } }) => {
    const effects = await kernelEffects({ backend });
    // Rules replaced, read back, proven, marked.
    return (turn) => captureNetns({ netnsPath: pod.path, podIPs: [], ...variant(turn) }, effects).action === 'applied';
  },
});

const istio = (name: string, flags: readonly string[], options: { readonly changes: boolean }): Applier => ({
  name: `istio-iptables ${name}`,
  prepare: async ({ lab: { pod } }) => {
    const again = (turn: number, more: readonly string[]): boolean => {
      const excluded = ['-x', `10.${options.changes ? turn % 200 : 0}.0.0/16,10.250.0.0/16`];
      const capture = [
        '-p',
        '15001',
        '-z',
        '15006',
        '-u',
        '1337',
        '-m',
        'REDIRECT',
        '-i',
        '*',
        '-b',
        '*',
        '-d',
        '15090,15021,15020',
      ];
      const argv = [
        'netns',
        'exec',
        pod.name,
        ISTIO_TOOL,
        'istio-iptables',
        ...capture,
        ...excluded,
        '--dual-stack',
        ...more,
      ];
      return spawnSync('ip', argv, { stdio: 'ignore' }).status === 0;
    };
    if (
      !again(
        0,
        flags.filter((flag) => flag === '--native-nftables'),
      )
    )
      throw new Error(`${name}: the first run failed`);
    return (turn) => again(turn, flags);
  },
});

const appliers: readonly Applier[] = [
  ...BACKEND_NAMES.map(ours),
  ...(existsSync(ISTIO_TOOL)
    ? [
        istio('the same again', [], { changes: false }),
        istio('--reconcile', ['--reconcile'], { changes: true }),
        istio('--reconcile --force-apply', ['--reconcile', '--force-apply'], { changes: true }),
        istio('--native-nftables', ['--native-nftables'], { changes: true }),
      ]
    : []),
].filter(({ name }) => name.includes(values.only));

process.stdout.write(`rules changed without pause, at least ${CONNECTS} connects each\n`);
process.stdout.write(
  `${row(['', 'changes', 'failed', 'ms p50', 'connects', 'escaped', 'leaked', 'refused', 'reset', 'timeout', 'stalled', 'slowest ms', 'held lost'])}\n`,
);
for (const applier of appliers) await run(applier);

async function run(applier: Applier): Promise<void> {
  const scene = await createLoadScene();
  try {
    const again = await applier.prepare(scene);
    again(0);
    const load = await scene.start();
    const timesMs: number[] = [];
    let failed = 0;
    for (let turn = 1; ; turn += 1) {
      const startMs = performance.now();
      if (!attempt(again, turn)) failed += 1;
      timesMs.push(performance.now() - startMs);
      if ((await load.count()) >= CONNECTS) break;
    }
    print(applier.name, { count: await load.stop(), timesMs, failed });
  } catch (error: unknown) {
    process.stdout.write(`  ${applier.name.padEnd(44)} ${String(error)}\n`);
  } finally {
    scene.close();
  }
}

let shown = '';

function attempt(again: (turn: number) => boolean, turn: number): boolean {
  try {
    return again(turn);
  } catch (error: unknown) {
    if (String(error) !== shown) process.stdout.write(`  ${String(error)}\n`);
    shown = String(error);
    return false;
  }
}

function print(
  name: string,
  {
    count,
    timesMs,
    failed,
  }: { readonly count: LoadCount; readonly timesMs: readonly number[]; readonly failed: number },
): void {
  const { connects, escaped, leaked, failed: errors, stalled, slowestMs, held } = count;
  const numbers = [
    timesMs.length,
    failed,
    spread(timesMs).p50.toFixed(1),
    connects,
    escaped,
    leaked,
    errors.ECONNREFUSED ?? 0,
    errors.ECONNRESET ?? 0,
    errors.ETIMEDOUT ?? 0,
    stalled,
    slowestMs.toFixed(0),
    `${held.lost}/${held.opened}`,
  ];
  process.stdout.write(`${row([name, ...numbers])}\n`);
  const others = Object.entries(errors).filter(([code]) => !['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT'].includes(code));
  if (others.length > 0) process.stdout.write(`  ${JSON.stringify(Object.fromEntries(others))}\n`);
}

function row([name, ...numbers]: readonly (string | number)[]): string {
  return `  ${String(name).padEnd(44)} ${numbers.map((one) => String(one).padStart(10)).join(' ')}`;
}
