import { spawnSync } from 'node:child_process';
import { captureNetns } from '../src/agent/capture-netns.ts';
import { kernelEffects } from '../src/agent/netns-effects.ts';
import { BACKEND_NAMES, type BackendName } from '../src/backend/backend.ts';
import { messageOf } from '../src/errors.ts';
import { argumentsOf, PLAIN } from '../test/differential/inputs.ts';
import { variant } from '../test/support/netns-apply-loop.ts';
import { createLoadScene, type LoadCount, type LoadScene } from '../test/support/netns-load-client.ts';
import type { Context } from './question.ts';
import type { Result } from './result.ts';

/**
 * Rules are changed without pause in a pod under load: what gets past the proxy, and what is refused or lost? Ours beside Istio's own
 * tool, each in a pod of its own, in one run.
 */
const CONNECTS = 100_000;
/** Enough to see whether a way leaks; the one that our claim is about goes on until it has all of its connects, or half of the time. */
const OTHERS_MS = 9_000;
const OURS_SHARE = 0.5;
/** For each: to start four processes, and to end them. */
const SCENE_MS = 2_500;
const OURS = 'ours, nft';

/** One way to write rules. `again` changes the policy: it tells whether the tool said that it had. */
interface Applier {
  readonly name: string;
  prepare(scene: LoadScene): Promise<(turn: number) => boolean>;
}

interface Seen {
  readonly name: string;
  readonly timesMs: readonly number[];
  readonly failed: number;
  readonly why: string;
  readonly count: LoadCount;
}

export async function measureReApply(
  ctx: Context,
  { pilotAgent, untilLeftMs }: { readonly pilotAgent: string | undefined; readonly untilLeftMs: number },
): Promise<Result> {
  const all: Seen[] = [];
  const appliers = [...BACKEND_NAMES.map(ours), ...(pilotAgent === undefined ? [] : istioAppliers(pilotAgent))];
  for (const [index, applier] of appliers.entries()) {
    if (ctx.signal.aborted) break;
    ctx.say(`rules changed under load: ${applier.name}`);
    const leftMs = ctx.leftMs() - untilLeftMs;
    const share = leftMs / (appliers.length - index) - SCENE_MS;
    const forMs = applier.name === OURS ? leftMs * OURS_SHARE : Math.min(OTHERS_MS, share);
    all.push(await run(applier, (connects, ms) => ctx.signal.aborted || connects >= CONNECTS || ms >= forMs));
  }
  const escaped = all.find(({ name }) => name === OURS)?.count;
  return ctx.result({
    slug: 're-apply',
    title: 'Rules changed without pause under load: one change',
    unit: 'ms',
    series: all.map(({ name, timesMs }) => ({ name, values: timesMs })),
    tables: [countsOf(all)],
    targets: [
      { what: 'connects that escaped while rules changed, ours', fact: 'escaped or leaked, ours', atMost: 0 },
      { what: 'connects in that time', fact: 'connects, ours', atLeast: CONNECTS },
    ],
    facts: {
      'connects, ours': escaped?.connects ?? 0,
      'escaped or leaked, ours': escaped === undefined ? 1 : escaped.escaped + escaped.leaked,
      load: 'TCP in both directions and both families, eight connects at a time each way; besides, connections that stay open',
      escaped: 'answered by somebody other than the proxy',
      leaked: 'SYNs for a captured destination that were seen outside of the pod',
      stalled: 'lost a packet, and was a second or more late',
      held: 'connections that stayed open: lost / opened',
    },
  });
}

async function run(applier: Applier, enough: (connects: number, ms: number) => boolean): Promise<Seen> {
  const scene = await createLoadScene();
  try {
    const again = await applier.prepare(scene);
    again(0);
    const load = await scene.start();
    const timesMs: number[] = [];
    let [failed, why] = [0, ''];
    const startMs = performance.now();
    for (let turn = 1; ; turn += 1) {
      const turnMs = performance.now();
      try {
        if (!again(turn)) failed += 1;
      } catch (error: unknown) {
        failed += 1;
        why ||= messageOf(error);
      }
      timesMs.push(performance.now() - turnMs);
      if (enough(await load.count(), performance.now() - startMs)) break;
    }
    return { name: applier.name, timesMs, failed, why, count: await load.stop() };
  } finally {
    scene.close();
  }
}

function ours(backend: BackendName): Applier {
  return {
    name: `ours, ${backend}`,
    prepare: async ({ lab: { pod } }) => {
      const effects = await kernelEffects({ backend });
      // Rules replaced, read back, proven, marked.
      return (turn) =>
        captureNetns({ netnsPath: pod.path, podIPs: [], ...variant(turn) }, effects).action === 'applied';
    },
  };
}

function istioAppliers(pilotAgent: string): readonly Applier[] {
  const istio = (name: string, first: readonly string[], again: readonly string[], ranges: number): Applier => ({
    name: `istio-iptables ${name}`,
    prepare: async ({ lab: { pod } }) => {
      const apply = (turn: number, more: readonly string[]): boolean => {
        const excluded = [`10.${turn % ranges}.0.0/16`, '10.250.0.0/16'];
        const inputs = argumentsOf({ ...PLAIN, excludeOutboundRanges: excluded });
        const argv = ['netns', 'exec', pod.name, pilotAgent, 'istio-iptables', ...inputs, ...more];
        return spawnSync('ip', argv, { stdio: 'ignore' }).status === 0;
      };
      if (!apply(0, first)) throw new Error(`${name}: the first run failed`);
      return (turn) => apply(turn, again);
    },
  });
  return [
    istio('the same again', [], [], 1),
    istio('--reconcile', [], ['--reconcile'], 200),
    istio('--reconcile --force-apply', [], ['--reconcile', '--force-apply'], 200),
    istio('--native-nftables', ['--native-nftables'], ['--native-nftables'], 200),
  ];
}

function countsOf(all: readonly Seen[]): NonNullable<Result['tables']>[number] {
  const others = ({ failed }: LoadCount): number => Object.values(failed).reduce((sum, count) => sum + count, 0);
  return {
    title: 'What became of the connects',
    columns: [
      '',
      'changes',
      'failed',
      'connects',
      'escaped',
      'leaked',
      'refused',
      'reset',
      'otherwise failed',
      'stalled',
      'slowest, ms',
      'held',
    ],
    rows: all.map(({ name, timesMs, failed, why, count }) => {
      const { ECONNREFUSED: refused = 0, ECONNRESET: reset = 0 } = count.failed;
      return [
        why === '' ? name : `${name} (${why})`,
        ...[timesMs.length, failed, count.connects, count.escaped, count.leaked, refused, reset],
        ...[others(count) - refused - reset, count.stalled, Math.round(count.slowestMs)],
        `${count.held.lost}/${count.held.opened}`,
      ];
    }),
  };
}
