import { runStep, type Step } from './run-steps.ts';
import { STATIC_STEPS } from './static-steps.ts';

/** `make check`: everything that needs neither root nor a kernel nor a cluster; all steps run, all failures are shown. */
const STEPS: readonly Step[] = [...STATIC_STEPS, { name: 'unit tests', argv: ['vitest', 'run', '--project', 'unit'] }];

const results = [];
for (const step of STEPS) {
  const result = await runStep(step, { live: false });
  results.push(result);
  process.stdout.write(`${result.ok ? 'ok  ' : 'FAIL'} ${step.name} (${result.seconds.toFixed(1)} s)\n`);
  if (!result.ok) process.stdout.write(`${result.output}\n`);
}
const failed = results.filter((result) => !result.ok);
if (failed.length > 0) {
  process.stderr.write(`check failed: ${failed.map((result) => result.step.name).join(', ')}\n`);
  process.exitCode = 1;
}
