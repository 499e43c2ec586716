import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { checkout } from '../lab/paths.ts';

export interface ChildOptions {
  /** Asks it and all that it started to end, by SIGTERM. */
  readonly signal?: AbortSignal;
  /** Ends all of it by force. */
  readonly killAfterMs?: number;
}

/**
 * Runs a script of this checkout with this Node, its output beside ours; gives undefined if it succeeded, else how it ended. In a session of
 * its own: the terminal's ^C comes to us alone, and what the script started can be ended with it.
 */
export async function runScript(argv: readonly string[], options: ChildOptions = {}): Promise<string | undefined> {
  const { signal, killAfterMs } = options;
  if (signal?.aborted === true) return 'not begun';
  const child = spawn(process.execPath, argv, { stdio: 'inherit', cwd: checkout, detached: true });
  const force = killAfterMs === undefined ? undefined : setTimeout(() => endAll(child, 'SIGKILL'), killAfterMs);
  const end = (): void => endAll(child, 'SIGTERM');
  signal?.addEventListener('abort', end);
  try {
    const [code, by]: (number | string | null)[] = await once(child, 'exit');
    return code === 0 ? undefined : `${by ?? `exit ${code}`}`;
  } finally {
    clearTimeout(force);
    signal?.removeEventListener('abort', end);
  }
}

/** While the child was not waited for, its process group cannot be anybody else's. */
function endAll({ pid, exitCode, signalCode }: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, signal);
}
