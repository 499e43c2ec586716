/** argv → command → exit code. The gate is loaded alone: a pod's start waits for it. */
const argv = process.argv.slice(2);

if (argv[0] === 'init') {
  const { runGate } = await import('./gate/gate.ts');
  process.exitCode = await runGate(argv.slice(1), {
    stdout: (line) => void process.stdout.write(`${line}\n`),
    stderr: (line) => void process.stderr.write(`${line}\n`),
    env: process.env,
  });
} else {
  const { runCommand } = await import('./commands/application.ts');
  process.exitCode = await runCommand(argv);
}
