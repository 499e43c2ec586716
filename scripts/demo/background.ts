import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { checkout } from '../../lab/paths.ts';
import { findGo } from '../../lab/preflight.ts';

/** A command that works while something else is on the screen. */
export interface Background {
  readonly name: string;
  /** Exit 0 or not, and all it printed. */
  readonly ended: Promise<{ readonly ok: boolean; readonly text: string }>;
  /** Shows what it printed so far, and from now on as it comes. */
  show(): void;
}

const running = new Set<ChildProcess>();
const TEXT_CHARACTERS_MAX = 4 * 1024 * 1024;

/** Starts a script of this project, with Node as this process has it. Its output is kept until `show`. */
export function inBackground(name: string, script: readonly string[]): Background {
  const child = spawn(process.execPath, script, {
    cwd: checkout,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let text = '';
  let shown = false;
  const add = (chunk: string) => {
    if (text.length < TEXT_CHARACTERS_MAX) text += chunk;
    if (shown) process.stdout.write(chunk);
  };
  child.stdout.setEncoding('utf8').on('data', add);
  child.stderr.setEncoding('utf8').on('data', add);
  const ended = new Promise<{ ok: boolean; text: string }>((resolve) => {
    const finish = (ok: boolean) => {
      running.delete(child);
      resolve({ ok, text });
    };
    child.on('error', (error) => {
      add(`${error.message}\n`);
      finish(false);
    });
    child.on('close', (code) => finish(code === 0));
  });
  return {
    name,
    ended,
    show: () => {
      if (!shown) process.stdout.write(text);
      shown = true;
    },
  };
}

/** Runs a script of this project with the screen to itself; true if it exits 0. */
export function inForeground(script: readonly string[]): Promise<boolean> {
  const child = spawn(process.execPath, script, { cwd: checkout, env: environment(), stdio: 'inherit' });
  running.add(child);
  return new Promise((resolve) => {
    child.on('error', () => resolve(false));
    child.on('close', (code) => {
      running.delete(child);
      resolve(code === 0);
    });
  });
}

const STOP_TIMEOUT_MS = 5_000;

/** Tells everything that still runs to end, and waits for it a moment. */
export async function stopAll(): Promise<void> {
  const closed = [...running].map((child) => {
    child.kill('SIGTERM');
    return once(child, 'close');
  });
  await Promise.race([Promise.allSettled(closed), delay(STOP_TIMEOUT_MS, undefined, { ref: false })]);
}

/** Go need not be on PATH where it is in its usual place. */
function environment(): NodeJS.ProcessEnv {
  const go = findGo();
  return go === undefined ? process.env : { ...process.env, PATH: `${process.env['PATH'] ?? ''}:${dirname(go)}` };
}
