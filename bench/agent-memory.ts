import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { imageEntrypoint, imageEnvironment } from '../image/entrypoint.ts';
import { BUNDLE_ENTRY } from '../scripts/bundle.ts';
import { type AgentProcess, startAgent } from './agent-process.ts';
import { type Resident, resident } from './resident.ts';
import { spread } from './spread.ts';

/**
 * What the agent occupies at rest with few and with many mesh pods, and how long a pod waits for it: with the flags and variables of the
 * image beside none of them, both at once, each with netns of its own; API server and runtime are played. Needs root, and `make build`.
 *   node bench/agent-memory.ts [PODS…]
 */
const PODS = process.argv.slice(2).map(Number);
const STEPS = PODS.length > 0 ? PODS : [0, 50, 110];
/** V8 tidies up some seconds after it was last busy. */
const REST_MS = 15_000;

interface Subject {
  readonly name: string;
  readonly agent: AgentProcess;
  readonly tookMs: number[];
}

const [, ...words] = imageEntrypoint();
const flags = words.slice(0, -1);
const entry = resolve(import.meta.dirname, '..', 'dist/bundle', BUNDLE_ENTRY);
const subjects: Subject[] = [];
try {
  await begin('plain', [process.execPath, entry], {});
  await begin('as in the image', [process.execPath, ...flags, entry], imageEnvironment());
  process.stdout.write(
    `in the image: ${[...flags, ...Object.entries(imageEnvironment()).map((pair) => pair.join('='))].join(' ')}\n`,
  );
  let have = 0;
  for (const wanted of STEPS) {
    for (; have < wanted; have += 1) for (const { agent, tookMs } of turnedBy(have)) tookMs.push(await agent.addPod());
    await pause(REST_MS);
    process.stdout.write(`${wanted} pods, after ${REST_MS / 1_000} s of rest, MiB\n`);
    for (const subject of subjects) await print(subject);
  }
} finally {
  for (const { agent } of subjects) await agent.stop();
}

async function begin(name: string, command: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
  const metricsPort = 25_014 + subjects.length;
  subjects.push({ name, tookMs: [], agent: await startAgent(String(subjects.length), { command, env, metricsPort }) });
}

/** Who goes first changes. */
function turnedBy(index: number): readonly Subject[] {
  return index % 2 === 0 ? subjects : subjects.toReversed();
}

async function print({ name, agent, tookMs }: Subject): Promise<void> {
  // Before the metrics: to render them takes memory.
  const rss = resident(agent.pid);
  const bytes = await agent.metrics(
    'nodejs_heap_size_used_bytes',
    'nodejs_heap_size_total_bytes',
    'nodejs_external_memory_bytes',
  );
  const [used, total, external] = bytes.map((count) => (count / 2 ** 20).toFixed(1));
  const own = (rss.malloc + rss.other).toFixed(1);
  const parts = (['files', 'malloc', 'other'] as const satisfies (keyof Resident)[]).map(
    (part) => `${part} ${rss[part].toFixed(1)}`,
  );
  const latency = spread(tookMs);
  const waited =
    tookMs.length === 0
      ? ''
      : `  pod seen to reported, ms: p50 ${latency.p50.toFixed(1)} p90 ${latency.p90.toFixed(1)}`;
  process.stdout.write(
    `  ${name.padEnd(16)} RSS ${rss.total.toFixed(1)}, its own ${own} (${parts.join(', ')})  heap ${used} of ${total}, external ${external}${waited}\n`,
  );
}
