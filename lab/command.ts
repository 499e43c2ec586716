import { spawn } from 'node:child_process';
import { LabError } from './lab-error.ts';

/** Options of `command`. */
export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Text for standard input. */
  readonly input?: string;
  /** Ends the command after this long (default 10 minutes). */
  readonly timeoutMs?: number;
  /** Called with each piece of output as it comes. */
  readonly onOutput?: (text: string) => void;
}

/** What a command left behind. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const OUTPUT_LIMIT_BYTES = 32 * 1024 * 1024;
const TAIL_LINES = 25;

/** Runs a command without a shell and returns what it printed; throws LabError with the end of its output unless it exits 0. */
export async function command(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await tryCommand(argv, options);
  if (result.code === 0) return result.stdout;
  const output = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-TAIL_LINES).join('\n');
  throw new LabError(`${argv.join(' ').slice(0, 300)}: exit ${result.code}\n${output}`);
}

/** Runs a command without a shell; an exit code other than 0 is a result (127: there is no such program). */
export function tryCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [program = '', ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 600_000,
      killSignal: 'SIGKILL',
    });
    const stdout = new BoundedText();
    const stderr = new BoundedText();
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout.add(text);
      options.onOutput?.(text);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr.add(text);
      options.onOutput?.(text);
    });
    // A program that ends without reading its input is judged by its exit code.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input);
    child.on('error', (error) => resolve({ code: 127, stdout: '', stderr: error.message }));
    child.on('close', (code, signal) => {
      const ending = signal === null ? '' : `\nended by ${signal}`;
      resolve({ code: code ?? 128, stdout: stdout.text, stderr: stderr.text + ending });
    });
  });
}

class BoundedText {
  text = '';

  add(more: string): void {
    if (this.text.length < OUTPUT_LIMIT_BYTES) this.text += more;
  }
}
