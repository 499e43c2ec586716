import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import koffi from 'koffi';
import { captureNetns } from '../src/agent/capture-netns.ts';
import { kernelEffects, type NetnsEffects } from '../src/agent/netns-effects.ts';
import { loadLibnftables } from '../src/backend/nft/libnftables.ts';
import { renderNft } from '../src/backend/nft/render.ts';
import { NO_DEFAULTS } from '../src/capture/policy.ts';
import { resolvePolicy } from '../src/capture/resolve.ts';
import { readOnePod } from '../src/commands/manifest.ts';
import { buildRuleset } from '../src/ruleset/build.ts';
import { planProbes } from '../src/ruleset/probe-plan.ts';
import { createPodNetns, POD_IP, type PodNetns } from './pod-netns.ts';
import { spread } from './spread.ts';

/**
 * Where the time goes when one fresh pod netns gets rules, proof and mark: each part beside the floor, which is one transaction of the same
 * text by libnftables and nothing else, alternating in one run. Each pod has a ruleset object of its own, as in the agent.
 * `node --expose-gc bench/apply-path.ts [--rounds 100] [--paced-ms 0] [--pod examples/pod.yaml] [--clock wall|cpu]`; `cpu` counts what the
 * thread itself used, which a busy machine hardly changes.
 *
 * To see more: `node --cpu-prof --cpu-prof-interval 100 bench/apply-path.ts` (JavaScript and koffi), `perf record -g` (kernel and
 * libnftables), `strace -c -f` and `strace -r` (system calls; `--rounds 3`).
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    'paced-ms': { type: 'string', default: '0' },
    clock: { type: 'string', default: 'wall' },
    pod: { type: 'string', default: join(resolve(import.meta.dirname, '..'), 'examples', 'pod.yaml') },
  },
});
const ROUNDS = Number(values.rounds);
const PACED_MS = Number(values['paced-ms']);
/** The first ones compile JavaScript, load the library and read a table back in full. */
const WARM_UP = 10;
/** time.h */
const CLOCK_THREAD_CPUTIME_ID = 3;

const { pod } = readOnePod(values.pod);
const nowMs = values.clock === 'cpu' ? cpuClock() : () => performance.now();
const parts = new Map<string, number[]>();
const plain = await kernelEffects({ nowMs });
const effects = watched(plain);
const allocated: number[] = [];
const netnses: PodNetns[] = [];
try {
  while (netnses.length < 2 * (ROUNDS + WARM_UP)) netnses.push(createPodNetns());
  await run();
  print();
} finally {
  for (const { remove } of netnses) remove();
}

async function run(): Promise<void> {
  for (let round = -WARM_UP; round < ROUNDS; round += 1) {
    const [ours, floor] = netnses.slice(2 * (round + WARM_UP));
    if (ours === undefined || floor === undefined) return;
    if (PACED_MS > 0) await setTimeout(PACED_MS);
    const task = { netnsPath: ours.path, podIPs: [POD_IP], ...policyOfPod() };
    const before = process.memoryUsage();
    timed('ours: total', () => captureNetns(task, effects));
    const after = process.memoryUsage();
    // A collection in between would make it less than nothing.
    const bytes = after.heapUsed + after.external - before.heapUsed - before.external;
    if (bytes > 0) allocated.push(bytes);
    const text = renderNft(policyOfPod().ruleset, { over: 'create' });
    if (PACED_MS > 0) await setTimeout(PACED_MS);
    timed('floor: one transaction', () => runBare(floor.path, text));
    if (round === -1) {
      parts.clear();
      allocated.length = 0;
      globalThis.gc?.();
    }
  }
}

/** As every pod gets it: nothing of another pod's objects is shared. */
function policyOfPod() {
  const resolved = resolvePolicy(pod, NO_DEFAULTS, { sidecarName: 'istio-proxy' });
  if (!resolved.ok) throw new Error(`${values.pod} has no usable policy`);
  return { ruleset: buildRuleset(resolved.policy), probes: planProbes(resolved.policy) };
}

function runBare(path: string, text: string): void {
  const netns = plain.open(path);
  plain.enter(netns, () => loadLibnftables().withContext((context) => context.run(text)));
  netns.close();
}

/** The real effects, each with a clock on it. */
function watched(real: NetnsEffects): NetnsEffects {
  const { backends } = real;
  return {
    ...real,
    backends: {
      ...backends,
      choose: (visit) => {
        const { backend, leftBehind } = timed('choose the backend', () => backends.choose(visit));
        const bring: typeof backend.bring = (task) => {
          const brought = timed('bring rules (whole)', () => backend.bring(task));
          note('  of it: apply', brought.timingsMs.apply);
          note('  of it: read back', brought.timingsMs.readBack);
          return brought;
        };
        return { backend: { ...backend, bring }, leftBehind };
      },
    },
    open: (path) => timed('open', () => real.open(path)),
    enter: (netns, work) => {
      let insideMs = 0;
      const startMs = nowMs();
      const result = real.enter(netns, () => {
        const workMs = nowMs();
        const made = work();
        insideMs = nowMs() - workMs;
        return made;
      });
      note('enter and leave (twice)', nowMs() - startMs - insideMs);
      return result;
    },
    addresses: () => timed('addresses', real.addresses),
    readMark: () => timed('read the mark', real.readMark),
    writeMark: (text) => timed('write the mark', () => real.writeMark(text)),
    addRouting: (routing, options) => timed('routing', () => real.addRouting(routing, options)),
    runProbes: (probes, options) => timed('probe', () => real.runProbes(probes, options)),
  };
}

function timed<T>(name: string, work: () => T): T {
  const startMs = nowMs();
  const result = work();
  note(name, nowMs() - startMs);
  return result;
}

/** getrusage, and so `process.threadCpuUsage`, only knows it to a tick. */
function cpuClock(): () => number {
  const clockGettime: (clock: number, time: Buffer) => number = koffi
    .load(null)
    .func('int clock_gettime(int clock, void *time)');
  const time = Buffer.alloc(16);
  return () => {
    clockGettime(CLOCK_THREAD_CPUTIME_ID, time);
    return Number(time.readBigInt64LE(0)) * 1e3 + Number(time.readBigInt64LE(8)) / 1e6;
  };
}

function note(name: string, tookMs: number): void {
  const list = parts.get(name) ?? [];
  parts.set(name, list);
  list.push(tookMs);
}

function print(): void {
  process.stdout.write(`one fresh pod netns, ${ROUNDS} rounds, ${PACED_MS} ms between, ms of ${values.clock} time\n`);
  for (const [name, list] of parts) {
    const { p10, p50, p90 } = spread(list);
    const numbers = `p10 ${p10.toFixed(3)}  p50 ${p50.toFixed(3)}  p90 ${p90.toFixed(3)}`;
    process.stdout.write(`  ${name.padEnd(24)} ${numbers}  (${list.length / ROUNDS} a pod)\n`);
  }
  const { p50, p90 } = spread(allocated);
  process.stdout.write(
    `  allocated a pod          p50 ${Math.round(p50 / 1024)} KiB  p90 ${Math.round(p90 / 1024)} KiB\n`,
  );
}
