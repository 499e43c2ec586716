import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { watched } from '../presentation.ts';
import { envoyBootstrap, PORTS } from './envoy-config.ts';
import { type Actor, logOf, type PodLike, type Running, runInside, startInside, USERS } from './pod-like.ts';

/** Everything that runs in the two netns. */
export interface Cast {
  readonly envoy: Running;
  readonly application: Running;
  readonly outside: Running;
}

/** Starts the real Envoy, the application and the service outside; returns when all three answer. Throws with the log of one that does not. */
export async function startCast(world: PodLike): Promise<Cast> {
  const { pod, stage } = world;
  const bootstrap = join(stage.directory, 'envoy.json');
  writeFileSync(bootstrap, JSON.stringify(envoyBootstrap(), undefined, 2));
  const proxy: Actor = { netns: pod, uid: USERS.proxy };
  const flags = ['--disable-hot-restart', '--concurrency', '1', '--log-level', 'warning'];
  // The access log reaches the file at once instead of every ten seconds.
  const flush = ['--file-flush-interval-msec', '20'];
  const envoy = startInside(proxy, [stage.envoy, '-c', bootstrap, ...flags, ...flush], join(stage.logs, 'envoy'));
  const serve = (who: Actor, name: string, port: number) =>
    startInside(who, [stage.node, stage.actor, 'serve', name, String(port)], join(stage.logs, name));
  const application = serve({ netns: pod, uid: USERS.application }, 'application', PORTS.application);
  const outside = serve({ netns: world.outside, uid: USERS.application }, 'outside', PORTS.outside);
  await watched(
    'Envoy and the applications start',
    Promise.all([
      answers(world, envoy, { netns: pod, url: `http://127.0.0.1:${PORTS.admin}/ready` }),
      answers(world, application, { netns: pod, url: `http://127.0.0.1:${PORTS.application}/` }),
      answers(world, outside, { netns: world.outside, url: `http://127.0.0.1:${PORTS.outside}/` }),
    ]),
  );
  return { envoy, application, outside };
}

async function answers(world: PodLike, running: Running, at: { netns: string; url: string }): Promise<void> {
  const { stage } = world;
  const asking = runInside({ netns: at.netns, uid: USERS.root }, [stage.node, stage.actor, 'await', at.url]);
  const first = await Promise.race([
    asking.then(({ code }) => (code === 0 ? 'answered' : 'did not answer')),
    running.ended.then(({ code }) => `ended with code ${code}`),
  ]);
  if (first === 'answered') return;
  throw new Error(`${at.url} in ${at.netns} ${first}; its log:\n${logOf(running).split('\n').slice(-15).join('\n')}`);
}

/** What a client in a netns got. Status 0: no answer, `error` says why. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly error: string | undefined;
}

/** One HTTP request by a process of its own, as that user, in that netns. */
export async function request(world: PodLike, actor: Actor, url: string): Promise<Answer> {
  const { stage } = world;
  const { code, stdout, stderr } = await runInside(actor, [stage.node, stage.actor, 'get', url]);
  if (code !== 0) throw new Error(`the client in ${actor.netns} ended with code ${code}: ${stderr || stdout}`);
  return toAnswer(JSON.parse(stdout));
}

/** How many requests each of Envoy's listeners has seen, from its own counters. Connections without a request do not count. */
export async function requestsSeen(world: PodLike, listener: string): Promise<number> {
  const name = `http.${listener}.downstream_rq_total`;
  const url = `http://127.0.0.1:${PORTS.admin}/stats?filter=^${name}$`;
  const { body } = await request(world, { netns: world.pod, uid: USERS.root }, url);
  const value = /: (\d+)/.exec(body)?.[1];
  if (value === undefined) throw new Error(`Envoy does not know ${name}: ${body}`);
  return Number(value);
}

const LOG_TIMEOUT_MS = 3_000;

/** The first line of Envoy's access log, from `fromByte` on, that holds all of `parts`; undefined if it does not come. */
export async function accessLogLine(
  envoy: Running,
  fromByte: number,
  parts: readonly string[],
): Promise<string | undefined> {
  const deadlineMs = performance.now() + LOG_TIMEOUT_MS;
  for (;;) {
    const lines = logOf(envoy).slice(fromByte).split('\n').slice(0, -1);
    const found = lines.find((line) => parts.every((part) => line.includes(part)));
    if (found !== undefined || performance.now() > deadlineMs) return found;
    await delay(20);
  }
}

function toAnswer(value: unknown): Answer {
  const field = (name: string): unknown =>
    typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  const { status, headers, body, error } = {
    status: field('status'),
    headers: field('headers'),
    body: field('body'),
    error: field('error'),
  };
  const entries = typeof headers === 'object' && headers !== null ? Object.entries(headers) : [];
  return {
    status: Number(status),
    headers: Object.fromEntries(entries.map(([name, text]) => [name, String(text)])),
    body: String(body),
    error: typeof error === 'string' ? error : undefined,
  };
}
