import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type FuzzResult, fuzz } from './fuzz/fuzz.ts';
import { hostilePod } from './fuzz/hostile-pod.ts';

/**
 * `make fuzz`: hostile values for every annotation, argument and variable a pod can bring. Exit 1 if one gets through or breaks us.
 * The values are tried in a thread of their own: code that does not come back cannot look at its own clock.
 */
interface Task {
  readonly values: number;
  readonly seed: number;
  /** The index of the value that is being tried. */
  readonly at: Int32Array;
}

/** A value that takes this long will not come back. */
const GONE_MS = 10_000;
const LOOK_MS = 500;
const SAY_MS = 2_000;

if (isMainThread) watch(taskOf(process.argv.slice(2)));
else work(workerData);

function taskOf(argv: readonly string[]): Task {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      values: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    },
  });
  for (const [name, text] of Object.entries(values))
    if (!/^[0-9]{1,9}$|^[0-9]{10}$/.test(text) || Number(text) >= 2 ** 31)
      throw new Error(`--${name}=${text}: allowed is a whole number below 2147483648`);
  return {
    values: Number(values.values),
    seed: Number(values.seed),
    at: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
  };
}

function work(task: Task): void {
  const result = fuzz({ ...task, onValue: (index) => void Atomics.store(task.at, 0, index) });
  parentPort?.postMessage(result);
}

function watch(task: Task): void {
  const startedMs = performance.now();
  process.stderr.write(`seed ${task.seed}, ${task.values} values\n`);
  const worker = new Worker(import.meta.filename, { workerData: task });
  let last = { index: 0, sinceMs: startedMs };
  let saidMs = startedMs;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const index = Atomics.load(task.at, 0);
    if (index !== last.index) last = { index, sinceMs: nowMs };
    if (nowMs - last.sinceMs > GONE_MS) {
      print(task, gone(task, index, nowMs - last.sinceMs), nowMs - startedMs);
      process.exit(1);
    }
    if (nowMs - saidMs < SAY_MS) return;
    saidMs = nowMs;
    process.stderr.write(`${index} values\n`);
  }, LOOK_MS);
  worker.on('message', (result: FuzzResult) => {
    clearInterval(timer);
    print(task, result, performance.now() - startedMs);
  });
  // Unhandled it ends this process with its stack: also a failure.
  worker.on('error', (error) => {
    throw error;
  });
}

/** What can be said of a value that never came back; what became of those before it is lost with the thread. */
function gone(task: Task, index: number, forMs: number): FuzzResult {
  const finding = { what: 'hung', index, pod: hostilePod(task.seed, index), detail: `${forMs.toFixed(0)} ms` } as const;
  const counts = { accepted: 0, refused: 0, crashed: 0, hung: 1, unparsed: 0 };
  return { tried: index + 1, ...counts, slowestMs: forMs, findings: [finding] };
}

function print({ seed }: Task, result: FuzzResult, tookMs: number): void {
  for (const { what, index, pod, detail } of result.findings)
    process.stdout.write(`FOUND value ${index} ${what}: ${shown(pod.hostile)}: ${shown(detail)}\n${shown(pod)}\n`);
  const counts = [
    `seed ${seed}`,
    `${result.tried} values tried`,
    `${result.accepted} accepted`,
    `${result.refused} refused`,
    `${result.crashed} crashed`,
    `${result.hung} hung`,
    `${result.unparsed} unparsed in a backend`,
    `${result.slowestMs.toFixed(1)} ms the slowest`,
    `${(tookMs / 1_000).toFixed(0)} s`,
  ];
  process.stdout.write(`${counts.join(', ')}\n`);
  process.exitCode = result.findings.length === 0 ? 0 : 1;
}

/** Values can be 100,000 characters long, and hold escapes for the terminal. */
function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 2_000 ? `${text.slice(0, 2_000)}… (${text.length} characters)` : text;
}
