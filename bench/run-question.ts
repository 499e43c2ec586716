import { setPriority } from 'node:os';
import { partsAreCached } from '../lab/parts.ts';
import { PRODUCT } from '../test/support/chart.ts';
import { tryKubectl } from '../test/support/cluster.ts';
import { labState } from './bench-lab.ts';
import { describeMachine } from './machine.ts';
import type { Context, Question } from './question.ts';
import { QUESTIONS } from './questions.ts';
import { saveResults } from './result.ts';

/** Child of `main.ts`: asks one question, for so many minutes, and keeps what it measured. Nothing is kept of a question that failed or was ended. */
const [asked, minutes] = process.argv.slice(2);
const question = QUESTIONS.find(({ id }) => id === asked);
if (question === undefined) throw new Error(`no such question: ${asked}`);
const NETNS_PRIORITY = -10;
// What was still waited for when the time was over must not keep this process.
process.exit(await main(question));

async function main({ id, needs, run }: Question): Promise<number> {
  const missing = await whatIsMissing(needs);
  if (missing !== undefined) {
    process.stderr.write(`  ${id}: ${missing}\n`);
    return 1;
  }
  // What is measured here runs in this process and in its children: others on the machine get in their way less.
  if (needs === 'netns') setPriority(NETNS_PRIORITY);
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort(new Error(signal)));
  const ctx = context(question as Question, { budgetMs: Number(minutes) * 60_000, ended: ended.signal });
  try {
    const results = await run(ctx);
    if (ended.signal.aborted) return 1;
    saveResults(id, results);
    return 0;
  } catch (error: unknown) {
    // Whoever ended it knows why; what went wrong while it was cleaned up is another matter.
    if (error !== ended.signal.reason) throw error;
    return 1;
  }
}

function context(
  { id }: Question,
  { budgetMs, ended }: { readonly budgetMs: number; readonly ended: AbortSignal },
): Context {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const startMs = performance.now();
  return {
    machine,
    say: (line) => process.stdout.write(`  ${line}\n`),
    result: (measured) => ({ question: id, startedAt, machine, ...measured }),
    leftMs: () => Math.max(0, budgetMs - (performance.now() - startMs)),
    signal: AbortSignal.any([ended, AbortSignal.timeout(Math.ceil(budgetMs))]),
  };
}

async function whatIsMissing(needs: Question['needs']): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root: it makes network namespaces';
  if (needs === 'parts' && !partsAreCached()) return 'needs the parts of the lab: make lab-up builds them';
  if (needs !== 'lab') return undefined;
  if (labState() !== 'runs') return 'needs the lab, all of it: make lab-status';
  const { code } = await tryKubectl(['get', '-n', PRODUCT, `daemonset/${PRODUCT}`]);
  return code === 0 ? undefined : 'the lab that runs has no agent: node scripts/test-lab.ts';
}
