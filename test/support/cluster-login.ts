import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type CommandResult, tryCommand } from '../../lab/command.ts';
import { checkout, lab } from '../../lab/paths.ts';
import { at, waitFor } from './cluster.ts';

const MAIN = join(checkout, 'src/main.ts');

/** Runs a verb against the lab, without a variable that would lead it elsewhere. */
export function runVerb(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandResult> {
  const none = { KUBECONFIG: '', HTTPS_PROXY: '', https_proxy: '', HOME: '/nonexistent' };
  return tryCommand([process.execPath, MAIN, ...argv], { env: { ...none, ...env }, timeoutMs: 60_000 });
}

/** A folder for kubeconfigs and what they name. */
export function loginFolder(): {
  readonly path: string;
  file(name: string, text: string, mode?: number): string;
  remove(): void;
} {
  const path = mkdtempSync(join(tmpdir(), 'istio-pnc-login-'));
  return {
    path,
    file: (name, text, mode = 0o600) => {
      writeFileSync(join(path, name), text, { mode });
      return join(path, name);
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** The lab's kubeconfig with another user, and changes of its cluster. */
export function kubeconfigText(user: object | undefined, cluster: object = {}): string {
  const own: unknown = JSON.parse(readFileSync(lab.kubeconfig, 'utf8'));
  const changed = {
    ...Object(own),
    clusters: [{ name: 'lab', cluster: { ...Object(at(own, 'clusters', 0, 'cluster')), ...cluster } }],
    ...(user === undefined ? {} : { users: [{ name: 'admin', user }] }),
  };
  return JSON.stringify(changed);
}

/** A verb that goes on until it is told to end. */
export interface RunningVerb {
  readonly lines: readonly string[];
  readonly errors: readonly string[];
  /** Resolves with the first line from `from` on that matches. */
  line(pattern: RegExp, from?: number): Promise<string>;
  /** SIGINT; the exit code. */
  interrupt(): Promise<number | null>;
}

export function startVerb(argv: readonly string[]): RunningVerb {
  const child: ChildProcess = spawn(process.execPath, [MAIN, ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '' },
  });
  const lines: string[] = [];
  const errors: string[] = [];
  if (child.stdout !== null) createInterface(child.stdout).on('line', (line) => lines.push(line));
  if (child.stderr !== null) createInterface(child.stderr).on('line', (line) => errors.push(line));
  const ended = new Promise<number | null>((resolve) => void child.on('close', resolve));
  return {
    lines,
    errors,
    line: async (pattern, from = 0) =>
      waitFor(
        `a line like ${pattern}; so far: ${JSON.stringify({ lines, errors })}`,
        () => Promise.resolve(lines.slice(from).find((line) => pattern.test(line))),
        { timeoutMs: 60_000 },
      ),
    interrupt: () => {
      child.kill('SIGINT');
      return ended;
    },
  };
}
