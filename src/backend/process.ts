import { spawnSync } from 'node:child_process';
import { ControllerError, errnoOf, messageOf } from '../errors.ts';

export interface ProgramRun {
  /** A plain name, looked for in the folders of system programs; no shell ever sees it. */
  readonly program: string;
  readonly args: readonly string[];
  /** Standard input; none by default. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface ProgramResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end, in the netns the calling thread is in (a child inherits it). Everything else of this process waits
 * meanwhile, so its time and its output are bounded. Throws `ProgramMissing`, or `ProgramFailed` if it did not end by itself.
 */
export function runProgram({ program, args, input = '', env = {} }: ProgramRun): ProgramResult {
  const { status, signal, stdout, stderr, error } = spawnSync(program, args, {
    input,
    encoding: 'utf8',
    // Nothing of our own environment: neither secrets nor settings that change what the tools print.
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', ...env },
    cwd: '/',
    shell: false,
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  if (error !== undefined) throw notRun(program, error);
  if (status === null) throw failed(program, `it was ended by ${signal ?? 'a signal'}`);
  return { status, stdout, stderr };
}

function notRun(program: string, error: Error): ControllerError {
  const errno = errnoOf(error);
  if (errno === 'ENOENT' || errno === 'EACCES') {
    return new ControllerError('ProgramMissing', `${program} cannot be started: ${errno}`, {
      hint: 'Install it, or choose another backend.',
      fields: { program },
      cause: error,
    });
  }
  if (errno === 'ETIMEDOUT') return failed(program, `it did not end within ${TIMEOUT_MS / 1000} s`, error);
  return failed(
    program,
    errno === 'ENOBUFS' ? `it printed more than ${OUTPUT_BYTES_MAX} bytes` : messageOf(error),
    error,
  );
}

function failed(program: string, why: string, cause?: Error): ControllerError {
  return new ControllerError('ProgramFailed', `${program} failed: ${why}`, {
    hint: 'A node short of CPU or memory can be the reason; it is tried again.',
    fields: { program },
    cause,
  });
}

/** A restore takes some 10 to 60 ms; iptables itself waits for its lock for 5 s. */
const TIMEOUT_MS = 10_000;
/** A thousand rules are 200 kB; what strangers hold is listed too. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
