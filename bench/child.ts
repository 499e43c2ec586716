import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { checkout } from '../lab/paths.ts';

export interface ChildOptions {
  /** Asks it to end, by SIGTERM. */
  readonly signal?: AbortSignal;
  /** Asks what it started, too: for a script that would leave it running. One that cleans up needs what it started. */
  readonly withChildren?: boolean;
  /** Ends all of it by force. */
  readonly killAfterMs?: number;
}

/**
 * Runs a script of this checkout with this Node, its output beside ours; gives undefined if it succeeded, else how it ended. In a session of
 * its own: the terminal's ^C comes to us alone.
 */
export async function runScript(argv: readonly string[], options: ChildOptions = {}): Promise<string | undefined> {
  const { signal, withChildren = false, killAfterMs } = options;
  if (signal?.aborted === true) return 'not begun';
  const child = spawn(process.execPath, argv, { stdio: 'inherit', cwd: checkout, detached: true });
  const force = killAfterMs === undefined ? undefined : setTimeout(() => endGroup(child, 'SIGKILL'), killAfterMs);
  const end = (): void => (withChildren ? endGroup(child, 'SIGTERM') : void child.kill('SIGTERM'));
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
function endGroup({ pid, exitCode, signalCode }: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, signal);
}
