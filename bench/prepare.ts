import { LabError, messageOf } from '../lab/lab-error.ts';
import { ensureParts } from '../lab/parts.ts';
import { prepareMachine } from '../scripts/machine.ts';

/** What a fresh clone lacks: Debian packages, and the parts of the lab, which are built once for all clones. */
try {
  await prepareMachine();
  await ensureParts();
} catch (error: unknown) {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  if (error instanceof LabError && error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
  process.exitCode = 2;
}
