import { writeSync } from 'node:fs';

/** argv → command → exit code. The gate is loaded alone: a pod's start waits for it. */
const argv = process.argv.slice(2);
// If what is awaited below never comes and nothing else is left to do, Node ends, and with 0 that would open the gate.
process.exitCode = 2;
void (argv[0] === 'init' ? gate() : command());

async function gate(): Promise<void> {
  const { runGate } = await import('./gate/gate.ts');
  const code = await runGate(argv.slice(1), {
    // Without process.stdout, which takes some milliseconds to set up: a pod's start waits for this.
    stdout: (line) => void writeSync(1, `${line}\n`),
    stderr: (line) => void writeSync(2, `${line}\n`),
    env: process.env,
  });
  // At once: to take the heap apart first costs some milliseconds more.
  process.exit(code);
}

async function command(): Promise<void> {
  const { runCommand } = await import('./commands/application.ts');
  process.exitCode = await runCommand(argv);
}
