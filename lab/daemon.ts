import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCgroups } from './cgroup.ts';
import { LabError } from './lab-error.ts';
import { lab, run } from './paths.ts';
import { poll } from './poll.ts';
import { identify, isAlive, parseIdentity, type ProcessIdentity } from './process-identity.ts';

/** A process of the lab that outlives the command that starts it. */
export interface Daemon {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Answers true when the daemon does its work. */
  readonly ready: () => Promise<boolean>;
  readonly readyTimeoutMs: number;
}

// Joins the cgroup before the program exists, so that there is no moment in which it belongs to nobody.
const ENTER_CGROUP = 'echo $$ > "$0/cgroup.procs" && exec "$@"';

/** Starts the daemon unless it runs, and waits until it is ready. Throws LabError with the end of its log. Returns whether it was started. */
export async function ensureDaemon(daemon: Daemon): Promise<boolean> {
  const running = runningDaemon(daemon.name);
  const identity = running ?? start(daemon);
  try {
    await poll(daemon.ready, {
      what: `${daemon.name} is ready`,
      timeoutMs: daemon.readyTimeoutMs,
      intervalMs: 100,
      stillPossible: () => {
        if (!isAlive(identity)) throw new LabError(`${daemon.name} ended before it was ready`);
      },
    });
  } catch (error) {
    throw new LabError(`${error instanceof Error ? error.message : String(error)}\n${tailOfLog(daemon.name)}`, {
      hint: `The whole log: ${logPath(daemon.name)}`,
      cause: error,
    });
  }
  return running === undefined;
}

/** The identity of a daemon that runs now. */
export function runningDaemon(name: string): ProcessIdentity | undefined {
  const identity = parseIdentity(readRecord(name));
  return identity !== undefined && isAlive(identity) ? identity : undefined;
}

/** Names of all daemons that were started and not stopped, whether they still run or not. */
export function recordedDaemons(): string[] {
  try {
    return readdirSync(run.processes).filter((name) => !name.includes('.'));
  } catch {
    return [];
  }
}

/** Ends one daemon, by force after `graceMs`, and forgets it. */
export async function stopDaemon(
  name: string,
  options: { readonly graceMs: number } = { graceMs: 10_000 },
): Promise<void> {
  const identity = runningDaemon(name);
  if (identity !== undefined) await endProcess(identity, options.graceMs);
  rmSync(join(run.processes, name), { force: true });
}

/** SIGTERM, then SIGKILL after `graceMs`; returns when the process is gone. Another process with the same pid is never signalled. */
export async function endProcess(identity: ProcessIdentity, graceMs: number): Promise<void> {
  signal(identity, graceMs > 0 ? 'SIGTERM' : 'SIGKILL');
  const gone = async () => !isAlive(identity);
  try {
    await poll(gone, { what: `pid ${identity.pid} ends`, timeoutMs: graceMs, intervalMs: 50 });
  } catch {
    signal(identity, 'SIGKILL');
    await poll(gone, { what: `pid ${identity.pid} ends after SIGKILL`, timeoutMs: 10_000, intervalMs: 50 });
  }
}

/** The last lines a daemon wrote. */
export function tailOfLog(name: string, lines = 20): string {
  try {
    return readFileSync(logPath(name), 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '(no log)';
  }
}

function start(daemon: Daemon): ProcessIdentity {
  const cgroup = makeCgroups();
  mkdirSync(run.processes, { recursive: true });
  mkdirSync(lab.logs, { recursive: true });
  const log = openSync(logPath(daemon.name), 'a');
  try {
    const child = spawn('/bin/sh', ['-c', ENTER_CGROUP, cgroup, ...daemon.argv], {
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH: process.env['PATH'], HOME: '/root', ...daemon.env },
    });
    child.on('error', () => undefined);
    child.unref();
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    if (identity === undefined) throw new LabError(`${daemon.name} could not be started: ${daemon.argv[0] ?? ''}`);
    const record = join(run.processes, daemon.name);
    writeFileSync(`${record}.new`, JSON.stringify(identity));
    renameSync(`${record}.new`, record);
    return identity;
  } finally {
    closeSync(log);
  }
}

function readRecord(name: string): string {
  try {
    return readFileSync(join(run.processes, name), 'utf8');
  } catch {
    return '';
  }
}

function logPath(name: string): string {
  return join(lab.logs, `${name}.log`);
}

function signal(identity: ProcessIdentity, name: 'SIGTERM' | 'SIGKILL'): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch {
    // It ended between the look and the signal.
  }
}
