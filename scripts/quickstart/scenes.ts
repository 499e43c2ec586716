import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { command } from '../../lab/command.ts';
import { claim, note, output, prompt, title } from '../presentation.ts';
import { type Cast, requestsSeen, startCast } from './cast.ts';
import { LISTENERS } from './envoy-config.ts';
import { type Actor, logOf, makeNetns, type PodLike, type Running, runInside, startInside, USERS } from './pod-like.ts';
import { decisionOf, MANIFEST, showVerb } from './product.ts';
import { addStranger, nftOf, strangerTable } from './stranger.ts';
import { captured, direct, inboundCaptured, inboundDirect, proxyDirect } from './traffic.ts';

const FAMILIES = [4, 6] as const;
const MARK = 'istio-pod-network-controller v1 ready';
const GATE = ['init', '--gate', 'mark', '--timeout', '60'] as const;

/** The whole show. `placeEnvoy` returns when the binary is in the stage. Throws ClaimFailed at the first claim that does not hold. */
export async function play(world: PodLike, placeEnvoy: () => Promise<void>): Promise<void> {
  const policyHash = await decide();
  const stranger = await setUp(world);
  await placeEnvoy();
  const cast = await startCast(world);
  note('In it: Envoy (the real one) as uid 1337, the application as uid 65532. Outside: a server.');
  const scene = { world, cast, policyHash, stranger };
  await before(scene);
  const gate = await shutGate(scene);
  await apply(scene, gate);
  await after(scene);
  await openGate(scene);
  await verify(scene);
  await clean(scene);
}

interface Scene {
  readonly world: PodLike;
  readonly cast: Cast;
  readonly policyHash: string;
  /** Somebody else's table as it was in the beginning. */
  readonly stranger: string;
}

async function decide(): Promise<string> {
  title('The pod, the decision, and the policy with the place each value comes from');
  await showVerb(['explain', '-f', MANIFEST]);
  const { action, policyHash } = await decisionOf(MANIFEST);
  claim(`the pod of ${MANIFEST} is to be captured`, action === 'enroll' && policyHash !== '', `action ${action}`);
  return policyHash;
}

async function setUp(world: PodLike): Promise<string> {
  title("A network namespace like a pod sandbox's, and another one for everything outside");
  await makeNetns(world);
  await addStranger(world.pod);
  prompt('ip -brief address', world.pod);
  output(await command(['ip', '-n', world.pod, '-brief', 'address']));
  note('Somebody else has an nftables table in it, which must come to no harm:');
  const stranger = await strangerTable(world.pod);
  output(stranger);
  return stranger;
}

async function before(scene: Scene): Promise<void> {
  title('Before: the application goes out past Envoy, and callers reach it past Envoy');
  for (const family of FAMILIES) await direct(scene, family);
  for (const family of FAMILIES) await inboundDirect(scene, family);
}

/** The gate of a pod that is not captured yet: it runs and waits. */
async function shutGate({ world }: Scene): Promise<Running> {
  title('The gate, in a pod that is not captured yet: it waits');
  const { stage } = world;
  const gate = startInside(application(world), [stage.node, stage.product, ...GATE], join(stage.logs, 'gate'));
  await waitForLog(gate, 'waiting');
  prompt(`istio-pod-network-controller ${GATE.join(' ')} &`, 'pod, uid 65532');
  output(logOf(gate));
  const status = readFileSync(`/proc/${gate.pid}/status`, 'utf8');
  const uid = /^Uid:\s+(\d+)/m.exec(status)?.[1] ?? '?';
  const capabilities = /^CapEff:\s+([0-9a-f]+)/m.exec(status)?.[1] ?? '?';
  claim(
    `it runs as uid ${USERS.application} without any capability (CapEff ${capabilities})`,
    uid === String(USERS.application) && /^0+$/.test(capabilities),
    `uid ${uid}, CapEff ${capabilities}`,
  );
  return gate;
}

async function apply({ world, policyHash }: Scene, gate: Running): Promise<void> {
  title('apply: rules in one transaction, proof by live connects, mark');
  await showVerb(['apply', '-f', MANIFEST, '--netns', netnsPath(world)]);
  const appliedMs = performance.now();
  const end = await endWithin(gate, 5_000);
  claim(
    'the gate that waited has let go (exit 0)',
    end?.code === 0,
    `${end?.code ?? 'it still waits'}\n${logOf(gate)}`,
  );
  const laterMs = Math.max(0, (end?.atMs ?? appliedMs) - appliedMs);
  note(`… at most ${laterMs.toFixed(0)} ms after apply had ended. It printed:`);
  output(logOf(gate));
  const alias = await showMark(world);
  claim(`the mark carries the policy hash ${policyHash}`, alias === `${MARK} ${policyHash}`, alias || 'no alias');
}

async function after(scene: Scene): Promise<void> {
  title('A request of the application is captured by Envoy');
  for (const family of FAMILIES) await captured(scene, family);
  title('A request of Envoy itself (uid 1337) is let out directly');
  for (const family of FAMILIES) await proxyDirect(scene, family);
  title('A request from outside is captured on its way in');
  for (const family of FAMILIES) await inboundCaptured(scene, family);
}

async function openGate({ world }: Scene): Promise<void> {
  title('The gate, in a captured pod: it opens at once');
  const { stage } = world;
  prompt(`istio-pod-network-controller ${GATE.join(' ')}`, 'pod, uid 65532');
  const beganMs = performance.now();
  const { code, stdout, stderr } = await runInside(application(world), [stage.node, stage.product, ...GATE]);
  const elapsedMs = performance.now() - beganMs;
  output(stdout + stderr);
  claim(`it exits 0, ${elapsedMs.toFixed(0)} ms after its process was asked for`, code === 0, `exit ${code}`);
}

async function verify({ world }: Scene): Promise<void> {
  title('verify: the kernel against the policy');
  const text = await showVerb(['verify', '-f', MANIFEST, '--netns', netnsPath(world)]);
  claim('there is no drift', text.includes('no drift'), text.trim());
}

async function clean(scene: Scene): Promise<void> {
  const { world, stranger } = scene;
  title('clean: nothing of ours is left, the stranger is untouched');
  await showVerb(['clean', '--netns', netnsPath(world)]);
  const left = await nftOf(world.pod);
  claim('the netns holds the stranger’s table as it was, and no other', left === stranger, left);
  const alias = await showMark(world);
  claim('the mark is gone', alias === '', alias);
  const seen = await requestsSeen(world, LISTENERS.outbound);
  await direct(scene, 4);
  claim('Envoy has seen no further request', (await requestsSeen(world, LISTENERS.outbound)) === seen, 'it has');
}

async function showMark({ pod }: PodLike): Promise<string> {
  prompt(`ip -n ${pod} link show lo`);
  const text = await command(['ip', '-n', pod, 'link', 'show', 'lo']);
  output(text);
  return /^\s+alias (.*)$/m.exec(text)?.[1] ?? '';
}

async function waitForLog(running: Running, text: string): Promise<void> {
  const deadlineMs = performance.now() + 5_000;
  while (!logOf(running).includes(text)) {
    const ended = await endWithin(running, 20);
    if (ended !== undefined || performance.now() > deadlineMs) {
      throw new Error(`the gate did not come to wait (${ended?.code ?? 'still runs'}):\n${logOf(running)}`);
    }
  }
}

/** How a program ended; undefined if it goes on for longer. */
async function endWithin(running: Running, timeoutMs: number): Promise<Awaited<Running['ended']> | undefined> {
  const stop = new AbortController();
  try {
    return await Promise.race([running.ended, delay(timeoutMs, undefined, { signal: stop.signal })]);
  } finally {
    stop.abort();
  }
}

function application({ pod }: PodLike): Actor {
  return { netns: pod, uid: USERS.application };
}

function netnsPath({ pod }: PodLike): string {
  return `/run/netns/${pod}`;
}
