import { spawn } from 'node:child_process';

/** One command of a check or test run. */
export interface Step {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
}

/** How one step ended; `output` holds what it printed unless it was shown live. */
export interface StepResult {
  readonly step: Step;
  readonly ok: boolean;
  readonly output: string;
  readonly seconds: number;
}

/** Runs one command from the repository's root, no shell. `live` shows its output as it comes, otherwise it is kept for a failure. */
export function runStep(step: Step, options: { readonly live: boolean }): Promise<StepResult> {
  const [program, ...args] = step.argv;
  const startedMs = Date.now();
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: options.live ? 'inherit' : ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...step.env },
    });
    const chunks: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
    const finish = (ok: boolean, extra: string) =>
      resolve({
        step,
        ok,
        output: Buffer.concat(chunks).toString('utf8') + extra,
        seconds: (Date.now() - startedMs) / 1000,
      });
    child.on('error', (error) => finish(false, error.message));
    child.on('close', (code, signal) => finish(code === 0, signal === null ? '' : `ended by ${signal}\n`));
  });
}
