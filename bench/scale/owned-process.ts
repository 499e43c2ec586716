import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** A program that was started here and ends with us. */
export interface OwnedProcess {
  readonly pid: number;
  running(): boolean;
  /** Resolves when it is gone; by force after `graceMs`. */
  end(signal: 'SIGTERM' | 'SIGKILL', graceMs?: number): Promise<void>;
  /** The last lines it wrote. */
  tail(): string;
}

/** The kernel ends the program when this process ends in whatever way: a benchmark that was killed leaves no API server behind. */
export async function startOwned(argv: readonly string[], logPath: string): Promise<OwnedProcess> {
  const log = openSync(logPath, 'a');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], { stdio: ['ignore', log, log], cwd: '/' });
  closeSync(log);
  await once(child, 'spawn');
  const { pid } = child;
  if (pid === undefined) throw new Error(`${argv[0]} could not be started`);
  const exited = once(child, 'exit');
  const running = () => child.exitCode === null && child.signalCode === null;
  return {
    pid,
    running,
    end: async (signal, graceMs = 15_000) => {
      if (!running()) return;
      child.kill(signal);
      const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(force);
    },
    tail: () => readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-15).join('\n'),
  };
}
