import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readyMark, refusedMark } from '../netns/mark-text.ts';

/** The gate as a process of its own: exit codes, signals and wake-ups that only the real thing has. */
const MAIN = resolve(import.meta.dirname, '../main.ts');
const KEY = 'pod-network-controller.istio.io/status';
/** Node's timers as if the gate had forgotten to start one. */
const NO_TIMER_COUNTS =
  'data:text/javascript,const start = setTimeout; globalThis.setTimeout = (...timer) => start(...timer).unref();';
const cleanUp: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const act of cleanUp.splice(0).toReversed()) await act();
});

describe('init as a process', () => {
  it('exits 0 when the mark appears, and says how long it took', async () => {
    const { markFile } = await podFiles();
    const gate = start([`--mark-file=${markFile}`, '--gate=mark', '--', '-p', '15001', '--surprise']);
    expect(await gate.line(/waiting/)).toContain(markFile);
    await writeFile(markFile, `${readyMark('0123456789abcdef')}\n`);
    expect(await gate.exit()).toEqual({ code: 0, signal: null });
    expect(gate.lines().at(-1)).toMatch(/^passed after \d+ ms \(mark; policy 0123456789abcdef\)$/);
  });

  it('wakes when kubelet swaps the files, long before its next read is due', async () => {
    const { folder, file, markFile } = await podFiles();
    await writeFile(markFile, readyMark('0123456789abcdef'));
    const gate = start([`--mark-file=${markFile}`, `--file=${file}`, '--delay=3600']);
    expect(await gate.line(/waiting/)).toContain(KEY);
    await publish(folder, `${KEY}="initialized"\n`);
    expect(await gate.exit()).toEqual({ code: 0, signal: null });
    expect(gate.lines().at(-1)).toMatch(/^passed after \d+ ms \(both; /);
  });

  it('stays shut for an annotation without a mark, prints the refusal, and exits 124 with what is missing', async () => {
    const { folder, file, markFile } = await podFiles();
    await publish(folder, `${KEY}="initialized"\n`);
    await writeFile(markFile, refusedMark('InvalidCapturePolicy', 'includeInboundPorts "99999": a port is 1 to 65535'));
    const gate = start([`--mark-file=${markFile}`, `--file=${file}`, '--timeout=1']);
    expect(await gate.exit()).toEqual({ code: 124, signal: null });
    const refusals = gate.lines().filter((line) => line.includes('InvalidCapturePolicy: includeInboundPorts "99999"'));
    expect(refusals).toHaveLength(2);
    expect(gate.lines().at(-1)).toMatch(/^missing: the node agent refuses this pod/);
  });

  it('exits 1 for a flag it does not know', async () => {
    const gate = start(['--surprise']);
    expect(await gate.exit()).toEqual({ code: 1, signal: null });
    expect(gate.lines()[0]).toContain("Unknown option '--surprise'");
  });

  it('never ends with 0 because there was nothing left to wait for', async () => {
    const { markFile } = await podFiles();
    const gate = start([`--mark-file=${markFile}`, '--gate=mark'], ['--import', NO_TIMER_COUNTS]);
    expect(await gate.exit()).toEqual({ code: 2, signal: null });
  });

  it('ends on SIGTERM with 143', async () => {
    const { markFile } = await podFiles();
    const gate = start([`--mark-file=${markFile}`, '--gate=mark']);
    await gate.line(/waiting/);
    gate.child.kill('SIGTERM');
    expect(await gate.exit()).toEqual({ code: 143, signal: null });
  });
});

/** A folder as kubelet's AtomicWriter makes it, empty of annotations, and a mark file without a mark. */
async function podFiles() {
  const root = await mkdtemp(join(tmpdir(), 'gate-'));
  cleanUp.push(() => rm(root, { recursive: true }));
  const folder = join(root, 'podinfo');
  await mkdir(folder);
  await publish(folder, 'a="1"\n');
  await symlink('..data/pod_annotations', join(folder, 'pod_annotations'));
  const markFile = join(root, 'ifalias');
  await writeFile(markFile, '');
  return { folder, file: join(folder, 'pod_annotations'), markFile };
}

let version = 0;

/** New files in a new folder, then the `..data` link is renamed over the old one. */
async function publish(folder: string, text: string): Promise<void> {
  version += 1;
  const name = `..${version}`;
  await mkdir(join(folder, name));
  await writeFile(join(folder, name, 'pod_annotations'), text);
  await symlink(name, join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
}

interface Gate {
  readonly child: ChildProcess;
  /** The next line that matches, or one that was printed already. */
  line(pattern: RegExp): Promise<string>;
  lines(): readonly string[];
  exit(): Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

function start(args: readonly string[], nodeFlags: readonly string[] = []): Gate {
  const argv = [...nodeFlags, MAIN, 'init', ...args];
  const child = spawn(process.execPath, argv, { env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
  cleanUp.push(() => void child.kill('SIGKILL'));
  let output = '';
  let onOutput = () => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      onOutput();
    });
  }
  const lines = () => output.split('\n').filter((line) => line !== '');
  const ended = new Promise<{ code: number | null; signal: string | null }>((done, failed) => {
    child.once('close', (code, signal) => done({ code, signal }));
    child.once('error', failed);
  });
  return {
    child,
    lines,
    exit: () => ended,
    line: (pattern) =>
      new Promise((found, failed) => {
        onOutput = () => {
          const line = lines().find((candidate) => pattern.test(candidate));
          if (line !== undefined) found(line);
        };
        onOutput();
        ended.then(() => failed(new Error(`ended without ${pattern}:\n${output}`)), failed);
      }),
  };
}
