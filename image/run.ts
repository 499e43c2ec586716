import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ControllerError, errnoOf, messageOf } from '../src/errors.ts';

const execFileAsync = promisify(execFile);
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const TIMEOUT_MS = 600_000;

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The Debian package to name if the program is missing. */
  readonly debianPackage?: string;
}

/** Runs a program without a shell and returns its standard output. Throws with the last lines of its standard error. */
export async function run(argv: readonly [string, ...string[]], options: RunOptions = {}): Promise<string> {
  const [program, ...args] = argv;
  try {
    const { stdout } = await execFileAsync(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      maxBuffer: OUTPUT_BYTES_MAX,
      timeout: TIMEOUT_MS,
    });
    return stdout;
  } catch (error: unknown) {
    throw explain(argv, options, error);
  }
}

/** True if the program can be started at all. */
export async function isInstalled(program: string): Promise<boolean> {
  return await execFileAsync(program, ['--version']).then(
    () => true,
    () => false,
  );
}

function explain(argv: readonly string[], options: RunOptions, error: unknown): ControllerError {
  const command = argv.join(' ');
  if (errnoOf(error) === 'ENOENT') {
    const name = options.debianPackage ?? argv[0];
    return new ControllerError('Usage', `${argv[0]} is not installed`, {
      hint: `apt-get install ${name}`,
      cause: error,
    });
  }
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  const lastLines = stderr.split('\n').slice(-20).join('\n');
  return new ControllerError('Internal', `${command} failed: ${lastLines || messageOf(error)}`, { cause: error });
}
