import { writeSync } from 'node:fs';

/** argv → command → exit code. The gate is loaded alone: a pod's start waits for it. */
const argv = process.argv.slice(2);

if (argv[0] === 'init') {
  const { runGate } = await import('./gate/gate.ts');
  process.exitCode = await runGate(argv.slice(1), {
    // Without process.stdout, which takes some milliseconds to set up: a pod's start waits for this.
    stdout: (line) => void writeSync(1, `${line}\n`),
    stderr: (line) => void writeSync(2, `${line}\n`),
    env: process.env,
  });
} else {
  const { runCommand } = await import('./commands/application.ts');
  process.exitCode = await runCommand(argv);
}
