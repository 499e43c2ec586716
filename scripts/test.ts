import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runStep, type Step } from './run-steps.ts';
import { STATIC_STEPS } from './static-steps.ts';

/**
 * `make test`: check, then the kernel, then the lab's cluster. All of it runs even if an early part fails, and the last line counts
 * what ran: `N passed, N failed`. A step that is no test run (format, lint, the lab itself) counts as one.
 */
const directory = mkdtempSync(join(tmpdir(), 'istio-pnc-test-'));
const countsFile = join(directory, 'counts');
const withCounts = { TEST_COUNTS: countsFile };

const BUILD: Step = { name: 'build', argv: ['node', 'scripts/build.ts'] };
const MACHINE: Step = { name: 'machine', argv: ['node', 'scripts/machine.ts'] };
const LAB_UP: Step = { name: 'lab up', argv: ['node', 'scripts/test-lab.ts'] };
/** The oldest Kubernetes of the lab has no MutatingAdmissionPolicy: there the webhook is the only carrier that puts gates into pods by itself. */
const OLDER_LAB_UP: Step = {
  name: 'lab up, older Kubernetes',
  argv: ['node', 'scripts/test-lab.ts', '--kubernetes=1.35'],
};
/** Runtimes without NRI, one of which says nothing of network namespaces: capture, by packets, is the same. */
const RUNTIMES = ['containerd-1.6', 'docker'];
const RUNTIME_FILES = ['test/cluster/escape.test.ts'];
const OLDER_FILES = ['webhook', 'ways-in', 'bookinfo', 'escape'].map((name) => `test/cluster/${name}.test.ts`);
const LAB_DOWN: Step = { name: 'lab down', argv: ['node', 'lab/main.ts', 'down'] };

let passed = 0;
let failed = 0;
const failures: string[] = [];

async function single(step: Step): Promise<boolean> {
  const result = await runStep(step, { live: true });
  note(step.name, result.ok);
  return result.ok;
}

async function suite(name: string, files: readonly string[] = []): Promise<void> {
  const step: Step = { name, argv: ['vitest', 'run', '--project', name, ...files], env: withCounts };
  const before = readCounts();
  const result = await runStep(step, { live: true });
  const after = readCounts();
  passed += after.passed - before.passed;
  failed += after.failed - before.failed;
  // vitest can fail without a failed test (no file matched, a crash): that is a failure too.
  if (!result.ok && after.failed === before.failed) failed += 1;
  if (!result.ok) failures.push(name);
}

/** The cluster tests, all or some, on a lab of their own. */
async function onLab(up: Step, files: readonly string[]): Promise<void> {
  if (await single(up)) {
    await suite('cluster', files);
    await single(LAB_DOWN);
  } else {
    process.stderr.write(`${up.name}: its cluster tests did not run, for the lab did not start (see above)\n`);
  }
}

function note(name: string, ok: boolean): void {
  if (ok) passed += 1;
  else {
    failed += 1;
    failures.push(name);
  }
}

function readCounts(): { passed: number; failed: number } {
  const sum = { passed: 0, failed: 0 };
  for (const line of readLines()) {
    const counts: unknown = JSON.parse(line);
    if (typeof counts !== 'object' || counts === null) continue;
    if ('passed' in counts && typeof counts.passed === 'number') sum.passed += counts.passed;
    if ('failed' in counts && typeof counts.failed === 'number') sum.failed += counts.failed;
  }
  return sum;
}

function readLines(): string[] {
  try {
    return readFileSync(countsFile, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}

for (const step of [MACHINE, ...STATIC_STEPS, BUILD]) await single(step);
await suite('unit');
await suite('netns');
await onLab(LAB_UP, []);
await onLab(OLDER_LAB_UP, OLDER_FILES);
for (const runtime of RUNTIMES) {
  const up: Step = { name: `lab up, ${runtime}`, argv: ['node', 'scripts/test-lab.ts', `--runtime=${runtime}`] };
  await onLab(up, RUNTIME_FILES);
}
rmSync(directory, { recursive: true, force: true });
if (failures.length > 0) process.stdout.write(`failed: ${failures.join(', ')}\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
