import { parseArgs } from 'node:util';
import { askAll } from './ask-all.ts';
import { createBenchLab, labState } from './bench-lab.ts';
import { type ChildOptions, runScript } from './child.ts';
import { QUESTIONS } from './questions.ts';
import type { Question } from './question.ts';
import { writeReport } from './report/write.ts';

/**
 * `make bench`: every question in order, then the page. `node bench/main.ts a f` asks only those; `--report-only` makes the page anew from
 * what was kept. Each question runs in a process of its own: none sees another's memory, and one that hangs can be ended.
 * `--minutes` takes the place of each question's own budget. Never a test with a limit: what counts are ratios within one run.
 */
const USAGE = `usage: node bench/main.ts [--report-only] [--minutes N] [question ...]\n${QUESTIONS.map(
  ({ id, title, needs, budgetMinutes }) => `  ${id}  ${title} (needs: ${needs}; ≤ ${budgetMinutes} min)\n`,
).join('')}`;
/** After its budget, a question has so long to clean up. */
const GRACE_MS = 60_000;
const startMs = performance.now();
const stop = new AbortController();

// What runs is asked to end and cleans up; then the lab goes, if it was brought up here.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort(new Error(signal)));
process.exitCode = await main();

async function main(): Promise<number> {
  const asked = questionsAsked();
  if (asked === undefined) {
    process.stderr.write(USAGE);
    return 1;
  }
  if (asked.some(({ needs }) => needs !== 'netns') && labState() !== 'runs') await run('prepare', ['bench/prepare.ts']);
  const lab = createBenchLab({ run, finish: (name, argv) => run(name, argv, {}), state: labState });
  const failed = await askAll(asked, { ask, lab, signal: stop.signal });
  writeReport(new Map(QUESTIONS.map(({ id, title }) => [id, title])));
  if (failed.length > 0) process.stderr.write(`no new answer to: ${failed.join(', ')}\n`);
  return failed.length === 0 ? 0 : 2;
}

function questionsAsked(): readonly Question[] | undefined {
  try {
    const { values, positionals } = parseArgs({
      options: { 'report-only': { type: 'boolean', default: false }, minutes: { type: 'string' } },
      allowPositionals: true,
    });
    if (values['report-only']) return positionals.length === 0 ? [] : undefined;
    const known = positionals.every((id) => QUESTIONS.some((question) => question.id === id));
    const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
    if (!known || (minutes !== undefined && !(minutes > 0))) return undefined;
    return QUESTIONS.filter(({ id }) => positionals.length === 0 || positionals.includes(id)).map((question) => ({
      ...question,
      budgetMinutes: minutes ?? question.budgetMinutes,
    }));
  } catch {
    return undefined;
  }
}

async function ask({ id, title, budgetMinutes }: Question): Promise<boolean> {
  say(`${id}: ${title} (≤ ${budgetMinutes} min)`);
  const ended = await runScript(['bench/run-question.ts', id, String(budgetMinutes)], {
    signal: stop.signal,
    killAfterMs: budgetMinutes * 60_000 + GRACE_MS,
  });
  say(`${id}: ${ended === undefined ? 'done' : `failed (${ended})`}`);
  return ended === undefined;
}

/** A step before and after the questions. */
async function run(
  name: string,
  argv: readonly string[],
  options: ChildOptions = { signal: stop.signal, withChildren: true },
): Promise<boolean> {
  say(name);
  const ended = await runScript(argv, options);
  if (ended !== undefined) say(`${name}: failed (${ended})`);
  return ended === undefined;
}

function say(line: string): void {
  const seconds = Math.round((performance.now() - startMs) / 1_000);
  const at = `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}`;
  process.stdout.write(`[${at}] ${line}\n`);
}
