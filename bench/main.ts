import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeReport } from './report/write.ts';
import { QUESTIONS } from './questions.ts';
import type { Question } from './question.ts';

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

process.exitCode = await main();

async function main(): Promise<number> {
  const asked = questionsAsked();
  if (asked === undefined) {
    process.stderr.write(USAGE);
    return 1;
  }
  const startMs = performance.now();
  const failed: string[] = [];
  for (const question of asked) if (!(await ask(question, startMs))) failed.push(question.id);
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

async function ask({ id, title, budgetMinutes }: Question, startMs: number): Promise<boolean> {
  process.stdout.write(`${at(startMs)} ${id}: ${title} (≤ ${budgetMinutes} min)\n`);
  const script = fileURLToPath(new URL('./run-question.ts', import.meta.url));
  const child = spawn(process.execPath, [script, id, String(budgetMinutes)], { stdio: 'inherit' });
  const end = setTimeout(() => child.kill('SIGKILL'), budgetMinutes * 60_000 + GRACE_MS);
  // The terminal's ^C reaches the child by itself; it cleans up and ends, and so do we.
  const ignore = (): void => undefined;
  process.on('SIGINT', ignore);
  const forward = (): void => void child.kill('SIGTERM');
  process.on('SIGTERM', forward);
  const [code, signal]: (number | string | null)[] = await once(child, 'exit');
  clearTimeout(end);
  process.off('SIGINT', ignore).off('SIGTERM', forward);
  const how = code === 0 ? 'done' : `failed (${signal ?? `exit ${code}`})`;
  process.stdout.write(`${at(startMs)} ${id}: ${how}\n`);
  return code === 0;
}

function at(startMs: number): string {
  const seconds = Math.round((performance.now() - startMs) / 1_000);
  return `[${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}]`;
}
