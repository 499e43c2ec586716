import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { lab } from '../../lab/paths.ts';
import { tryCommand } from '../../lab/command.ts';
import { sandboxOf } from './cluster-host.ts';
import { at, listAt, kubectlJson, textAt } from './cluster.ts';

const LOOK_EVERY_MS = 250;
const OUR_TABLE = 'inet istio_pod_network_controller';

/** Who put capture into a pod: seen in its netns, not believed. */
export type CapturedBy = 'nobody' | 'istio' | 'ours' | 'istio and ours';

/** What the `dial` program of a pod counted, from its first instruction on. */
export interface DialTally {
  readonly firstAt: string;
  readonly lastAt: string;
  readonly connected: number;
  readonly refused: number;
  readonly silent: number;
  readonly other: number;
}

/** One pod's life as seen from outside. */
export interface PodLife {
  readonly name: string;
  /** Names of its init containers, in order. */
  readonly inits: readonly string[];
  readonly createdAt: string;
  readyAtMs: number | undefined;
  goneAtMs: number | undefined;
  /** All that was found in the netns while the application ran, in order of appearance. */
  readonly captures: CapturedBy[];
  tally: DialTally | undefined;
}

/**
 * Follows every pod of a Namespace from birth to end while something moves it: what its netns holds each quarter second, and what its
 * own program counted. Give the container whose log holds the tallies.
 */
export function followPods(namespace: string, options: { readonly container: string }): Followed {
  const lives = new Map<string, PodLife>();
  const followers: Promise<void>[] = [];
  const stop = new AbortController();
  const done = look();

  async function look(): Promise<void> {
    while (!stop.signal.aborted) {
      await lookOnce();
      await delay(LOOK_EVERY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
    await Promise.all(followers);
  }

  async function lookOnce(): Promise<void> {
    const pods = listAt(await kubectlJson(['get', 'pods', '-n', namespace]), 'items');
    const uids = new Set(pods.map((pod) => textAt(pod, 'metadata', 'uid')));
    for (const pod of pods) await lookAt(pod);
    for (const [uid, life] of lives) if (!uids.has(uid)) life.goneAtMs ??= Date.now();
  }

  async function lookAt(pod: unknown): Promise<void> {
    const uid = textAt(pod, 'metadata', 'uid');
    const life = lives.get(uid) ?? begin(pod);
    lives.set(uid, life);
    if (isReady(pod)) life.readyAtMs ??= Date.now();
    if (!applicationRuns(pod)) return;
    const captured = await capturedBy(uid);
    // A sandbox that ended between the two looks says nothing.
    if (captured !== undefined && life.captures.at(-1) !== captured) life.captures.push(captured);
  }

  function begin(pod: unknown): PodLife {
    const name = textAt(pod, 'metadata', 'name');
    const life: PodLife = {
      name,
      inits: listAt(pod, 'spec', 'initContainers').map((container) => textAt(container, 'name')),
      createdAt: textAt(pod, 'metadata', 'creationTimestamp'),
      readyAtMs: undefined,
      goneAtMs: undefined,
      captures: [],
      tally: undefined,
    };
    followers.push(followTally(life));
    return life;
  }

  async function followTally(life: PodLife): Promise<void> {
    const argv = [`--kubeconfig=${lab.kubeconfig}`, 'logs', '-n', namespace, '-f', '-c', options.container, life.name];
    // A container that has not started yet cannot be followed; kubectl says so and ends.
    while (!stop.signal.aborted && life.goneAtMs === undefined && life.tally === undefined) {
      const child = spawn(join(lab.bin, 'kubectl'), argv, { stdio: ['ignore', 'pipe', 'ignore'], signal: stop.signal });
      child.on('error', () => undefined);
      for await (const line of createInterface({ input: child.stdout })) life.tally = parseTally(line) ?? life.tally;
      if (life.tally === undefined) await delay(LOOK_EVERY_MS);
    }
  }

  return {
    lives: () => [...lives.values()],
    stop: async () => {
      stop.abort();
      await done;
    },
  };
}

export interface Followed {
  /** All pods seen so far, oldest first. */
  lives(): readonly PodLife[];
  stop(): Promise<void>;
}

/** One line a pod, for people. */
export function lifeLine(life: PodLife): string {
  const counts = life.tally;
  const dialled =
    counts === undefined
      ? 'no tally'
      : `${counts.connected} connected, ${counts.refused} refused, ${counts.silent} silent, ${counts.other} other`;
  const end = life.goneAtMs === undefined ? 'running' : `gone ${new Date(life.goneAtMs).toISOString()}`;
  const captured = life.captures.join(' → ');
  return `${life.name}  created ${life.createdAt}  ${end}  init: ${life.inits.join(', ')}  captured by: ${captured}  ${dialled}`;
}

async function capturedBy(uid: string): Promise<CapturedBy | undefined> {
  const sandbox = await sandboxOf(uid);
  if (sandbox === undefined) return undefined;
  const listing = await tryCommand(['nsenter', `--net=${sandbox.netnsPath}`, '--', 'nft', 'list', 'ruleset']);
  if (listing.code !== 0) return undefined;
  const ours = listing.stdout.includes(`table ${OUR_TABLE}`);
  const istio = listing.stdout.includes('chain ISTIO_OUTPUT') || /chain istio-output\b/.test(listing.stdout);
  if (ours && istio) return 'istio and ours';
  if (ours) return 'ours';
  return istio ? 'istio' : 'nobody';
}

function isReady(pod: unknown): boolean {
  const condition = listAt(pod, 'status', 'conditions').find((candidate) => at(candidate, 'type') === 'Ready');
  return at(condition, 'status') === 'True';
}

function applicationRuns(pod: unknown): boolean {
  const statuses = listAt(pod, 'status', 'containerStatuses');
  return statuses.some((status) => at(status, 'state', 'running') !== undefined);
}

function parseTally(line: string): DialTally | undefined {
  try {
    const tally: DialTally = JSON.parse(line);
    return tally;
  } catch {
    return undefined;
  }
}
