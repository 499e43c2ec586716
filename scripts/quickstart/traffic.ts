import { claim, output, prompt } from '../presentation.ts';
import { accessLogLine, type Answer, type Cast, request, requestsSeen } from './cast.ts';
import { LISTENERS, PASSED_HEADER, PORTS } from './envoy-config.ts';
import { type Actor, logOf, POD, type PodLike, SERVICE, USERS } from './pod-like.ts';

type Family = 4 | 6;

interface Scene {
  readonly world: PodLike;
  readonly cast: Cast;
}

/** The application calls the service outside and gets there without Envoy. */
export async function direct({ world }: Scene, family: Family): Promise<void> {
  const url = serviceUrl(family);
  const sent = await count(world, LISTENERS.outbound, () => show(world, applicationOf(world), url));
  claim(
    `IPv${family}: the application reached ${url} directly, unseen by Envoy`,
    reached(sent.answer, 'outside') && !passed(sent.answer) && sent.seen === 0,
    found(sent.answer, sent.seen),
  );
}

/** The same call, captured: Envoy's access log names the original destination. */
export async function captured({ world, cast }: Scene, family: Family): Promise<void> {
  const url = serviceUrl(family);
  const fromByte = logOf(cast.envoy).length;
  const sent = await count(world, LISTENERS.outbound, () => show(world, applicationOf(world), url));
  const destination = `original destination ${hostOf(SERVICE[family])}:${PORTS.outside}`;
  const line = await accessLogLine(cast.envoy, fromByte, [LISTENERS.outbound, destination]);
  showLog(line);
  claim(
    `IPv${family}: the request to ${url} passed Envoy, which sent it on`,
    reached(sent.answer, 'outside') && passedBy(sent.answer, LISTENERS.outbound) && line !== undefined,
    found(sent.answer, sent.seen, line),
  );
}

/** Envoy's own user calls the service: exempt, or every request would come back for ever. */
export async function proxyDirect({ world }: Scene, family: Family): Promise<void> {
  const url = serviceUrl(family);
  const proxy = { netns: world.pod, uid: USERS.proxy };
  const sent = await count(world, LISTENERS.outbound, () => show(world, proxy, url));
  claim(
    `IPv${family}: a process of uid ${USERS.proxy} reached ${url} directly`,
    reached(sent.answer, 'outside') && !passed(sent.answer) && sent.seen === 0,
    found(sent.answer, sent.seen),
  );
}

/** Somebody outside calls the application and gets there without Envoy. */
export async function inboundDirect({ world }: Scene, family: Family): Promise<void> {
  const url = applicationUrl(family);
  const sent = await count(world, LISTENERS.inbound, () => show(world, outsideOf(world), url));
  claim(
    `IPv${family}: a caller outside reached ${url} directly, unseen by Envoy`,
    reached(sent.answer, 'application') && !passed(sent.answer) && sent.seen === 0,
    found(sent.answer, sent.seen),
  );
}

/** The same call, captured on 15006. */
export async function inboundCaptured({ world, cast }: Scene, family: Family): Promise<void> {
  const url = applicationUrl(family);
  const fromByte = logOf(cast.envoy).length;
  const sent = await count(world, LISTENERS.inbound, () => show(world, outsideOf(world), url));
  const destination = `original destination ${hostOf(POD[family])}:${PORTS.application}`;
  const line = await accessLogLine(cast.envoy, fromByte, [LISTENERS.inbound, destination]);
  showLog(line);
  claim(
    `IPv${family}: the call to ${url} passed Envoy (port ${PORTS.inbound}), which handed it to the application`,
    reached(sent.answer, 'application') && passedBy(sent.answer, LISTENERS.inbound) && line !== undefined,
    found(sent.answer, sent.seen, line),
  );
}

/** Runs a request and counts what the listener saw of it. */
async function count(
  world: PodLike,
  listener: string,
  send: () => Promise<Answer>,
): Promise<{ answer: Answer; seen: number }> {
  const before = await requestsSeen(world, listener);
  const answer = await send();
  return { answer, seen: (await requestsSeen(world, listener)) - before };
}

async function show(world: PodLike, actor: Actor, url: string): Promise<Answer> {
  const place = actor.netns === world.pod ? 'pod' : 'outside';
  prompt(`GET ${url}`, `${place}, uid ${actor.uid}`);
  const answer = await request(world, actor, url);
  output(summary(answer));
  return answer;
}

function summary({ status, headers, body, error }: Answer): string {
  if (status === 0) return `no answer: ${error ?? ''}`;
  const named = ['server', PASSED_HEADER, 'x-envoy-upstream-service-time'].filter((name) => name in headers);
  const shown = named.map((name) => `${name}: ${headers[name] ?? ''}`).join(', ');
  return `${status}  ${body.trim()}${shown === '' ? '' : `\n${shown}`}`;
}

function showLog(line: string | undefined): void {
  output(`Envoy's access log: ${line ?? '(nothing)'}`);
}

function reached({ status, headers }: Answer, who: string): boolean {
  return status === 200 && headers['x-answered-by'] === who;
}

function passed({ headers }: Answer): boolean {
  return 'server' in headers || PASSED_HEADER in headers;
}

function passedBy({ headers }: Answer, listener: string): boolean {
  return headers['server'] === 'envoy' && headers[PASSED_HEADER] === listener;
}

function found(answer: Answer, seen: number, line?: string): string {
  const log = line === undefined ? '' : `, access log: ${line}`;
  return `${summary(answer).replaceAll('\n', '; ')}; Envoy counted ${seen} requests${log}`;
}

function applicationOf({ pod }: PodLike): Actor {
  return { netns: pod, uid: USERS.application };
}

function outsideOf({ outside }: PodLike): Actor {
  return { netns: outside, uid: USERS.application };
}

function serviceUrl(family: Family): string {
  return `http://${hostOf(SERVICE[family])}:${PORTS.outside}/`;
}

function applicationUrl(family: Family): string {
  return `http://${hostOf(POD[family])}:${PORTS.application}/`;
}

function hostOf(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
