import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import koffi from 'koffi';

/** What one run of a program cost, from fork to the exit that its parent saw. */
export interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** What a program had cost when it first opened a file. */
export interface FirstLook extends Cost {
  readonly rssMiB: number;
  /** Of it, what no other process shares. */
  readonly ownMiB: number;
  /** Everything that read(2) handed it; what it maps is not among that. */
  readonly readKiB: number;
}

type Environment = Readonly<Record<string, string>>;

const RUSAGE_CHILDREN = -1;
const libc = koffi.load('libc.so.6');
const getrusage = libc.func('int getrusage(int who, _Out_ int64_t *usage)');
const mkfifo = libc.func('int mkfifo(const char *path, uint32_t mode)');

/** Runs a program to its end; it has to end with 0. One at a time: what children cost is known of all of them together. */
export async function costOf(argv: readonly string[], env: Environment): Promise<Cost> {
  const beforeMs = childrenCpuMs();
  const startMs = performance.now();
  expectZero(argv, await once(start(argv, env), 'exit'));
  return { wallMs: performance.now() - startMs, cpuMs: childrenCpuMs() - beforeMs };
}

/** Makes a FIFO that everybody may read. */
export function makeFifo(path: string): void {
  if (mkfifo(path, 0o644) !== 0) throw new Error(`${path} cannot be made`);
}

/** Runs a program until it opens `fifo` to read; it is looked at there, reads `text`, and has to end with 0. */
export async function costOfFirstLook(
  argv: readonly string[],
  { env, fifo, text }: { readonly env: Environment; readonly fifo: string; readonly text: string },
): Promise<FirstLook> {
  const startMs = performance.now();
  const child = start(argv, env);
  const ended = once(child, 'exit');
  // Both ends of a FIFO open in the same instant.
  const file = await open(fifo, 'w');
  const wallMs = performance.now() - startMs;
  const look = { wallMs, ...spentBy(child.pid ?? 0) };
  await file.writeFile(text);
  await file.close();
  expectZero(argv, await ended);
  return look;
}

function start([program = '', ...args]: readonly string[], env: Environment) {
  return spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env });
}

function expectZero(argv: readonly string[], [code, signal]: readonly unknown[]): void {
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${String(code ?? signal)}`);
}

function childrenCpuMs(): number {
  const usage = new BigInt64Array(18);
  if (getrusage(RUSAGE_CHILDREN, usage) !== 0) throw new Error('getrusage failed');
  const [userS = 0n, userUs = 0n, systemS = 0n, systemUs = 0n] = usage;
  return Number((userS + systemS) * 1_000_000n + userUs + systemUs) / 1_000;
}

function spentBy(pid: number): Omit<FirstLook, 'wallMs'> {
  const folder = `/proc/${pid}`;
  const status = readFileSync(`${folder}/status`, 'utf8');
  const threads = readdirSync(`${folder}/task`);
  const cpuNs = threads.reduce(
    (sum, id) => sum + Number(readFileSync(`${folder}/task/${id}/schedstat`, 'utf8').split(' ')[0]),
    0,
  );
  return {
    cpuMs: cpuNs / 1e6,
    rssMiB: numberAfter(status, 'VmRSS:') / 1024,
    ownMiB: numberAfter(status, 'RssAnon:') / 1024,
    readKiB: numberAfter(readFileSync(`${folder}/io`, 'utf8'), 'rchar:') / 1024,
  };
}

function numberAfter(text: string, name: string): number {
  return Number(new RegExp(`^${name}\\s*(\\d+)`, 'm').exec(text)?.[1]);
}
