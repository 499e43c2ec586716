import { spawn, spawnSync } from 'node:child_process';
import { closeSync, fchownSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, type CommandResult, tryCommand } from '../../lab/command.ts';
import { identify, isAlive } from '../../lab/process-identity.ts';
import { removeStage, type Stage, stageAt } from './stage.ts';

/** Addresses: documentation ranges only. The outside answers at the SERVICE ones; nothing is routed beyond it. */
export const POD = { 4: '198.51.100.10', 6: '2001:db8:1::10' } as const;
export const SERVICE = { 4: '192.0.2.80', 6: '2001:db8::80' } as const;
const GATEWAY = { 4: '198.51.100.1', 6: '2001:db8:1::1' } as const;

export const USERS = { application: 65532, proxy: 1337, root: 0 } as const;

/** Two netns, one like a pod's and one that plays everything outside, and a folder for what runs in them. */
export interface PodLike {
  readonly pod: string;
  readonly outside: string;
  readonly stage: Stage;
}

export interface Actor {
  readonly netns: string;
  readonly uid: number;
}

const PREFIX = 'ipnc-quickstart-';
const COMMAND_TIMEOUT_MS = 20_000;

/** The names of this process's quickstart: the owner is in them, so that a later one knows whether it still lives. */
export function nameWorld(): PodLike {
  const self = identify(process.pid);
  const id = `${PREFIX}${process.pid}-${self?.startTicks ?? '0'}`;
  return { pod: `${id}-pod`, outside: `${id}-outside`, stage: stageAt(join(tmpdir(), id)) };
}

/** Makes both netns and wires them as a container runtime wires a sandbox. */
export async function makeNetns({ pod, outside }: PodLike): Promise<void> {
  for (const name of [pod, outside]) await command(['ip', 'netns', 'add', name]);
  await command(['ip', '-n', pod, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside]);
  await batch(outside, [
    'link set lo up',
    'link set eth0 up',
    `address add ${GATEWAY[4]}/24 dev eth0`,
    `address add ${GATEWAY[6]}/64 dev eth0 nodad`,
    `address add ${SERVICE[4]}/32 dev lo`,
    `address add ${SERVICE[6]}/128 dev lo nodad`,
  ]);
  await batch(pod, [
    'link set lo up',
    'link set eth0 up',
    `address add ${POD[4]}/24 dev eth0`,
    `address add ${POD[6]}/64 dev eth0 nodad`,
    `route add default via ${GATEWAY[4]}`,
    `-6 route add default via ${GATEWAY[6]} dev eth0`,
  ]);
}

async function batch(netns: string, lines: readonly string[]): Promise<void> {
  for (const line of lines) await command(['ip', '-n', netns, ...line.split(' ')]);
}

/** Runs a program in a netns, for anyone but root without any capability, and waits for its end. */
export function runInside(actor: Actor, argv: readonly string[]): Promise<CommandResult> {
  return tryCommand(inside(actor, argv), { timeoutMs: COMMAND_TIMEOUT_MS });
}

/** A program in a netns that goes on until it is told to stop; what it prints is in `log`. */
export interface Running {
  readonly pid: number;
  readonly log: string;
  /** Exit code and the moment (performance.now) it was known. */
  readonly ended: Promise<{ readonly code: number; readonly atMs: number }>;
}

/** Starts a program in a netns. It may outlive this process (`--keep`), so its output goes to a file. */
export function startInside(actor: Actor, argv: readonly string[], log: string): Running {
  const fd = openSync(log, 'w', 0o644);
  try {
    // Envoy opens /dev/stdout anew, as its own user.
    fchownSync(fd, actor.uid, actor.uid);
    const [program = '', ...args] = inside(actor, argv);
    const child = spawn(program, args, { stdio: ['ignore', fd, fd], detached: true, cwd: '/' });
    const ended = new Promise<{ code: number; atMs: number }>((resolve) => {
      child.on('error', () => resolve({ code: 127, atMs: performance.now() }));
      child.on('exit', (code) => resolve({ code: code ?? 128, atMs: performance.now() }));
    });
    child.unref();
    return { pid: child.pid ?? 0, log, ended };
  } finally {
    closeSync(fd);
  }
}

/** `ip netns exec` also mounts the /sys of that netns; neither it nor setpriv stays in between: the pid is the program's. */
export function inside({ netns, uid }: Actor, argv: readonly string[]): readonly string[] {
  const enter = ['ip', 'netns', 'exec', netns];
  if (uid === USERS.root) return [...enter, ...argv];
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  return [...enter, ...user, '--inh-caps=-all', '--bounding-set=-all', '--no-new-privs', ...argv];
}

/** Ends everything in both netns and removes all that was made. Synchronous, so that a signal's handler can do it; any part may be missing. */
export function removeWorld({ pod, outside, stage }: PodLike): void {
  const present = netnsNames();
  for (const name of [pod, outside].filter((candidate) => present.includes(candidate))) {
    for (const pid of pidsIn(name)) end(pid);
    spawnSync('ip', ['netns', 'delete', name]);
  }
  removeStage(stage.directory);
}

/** What is left of worlds whose owner is gone, killed or told to keep them. */
export function leftovers(): readonly PodLike[] {
  const names = [...netnsNames(), ...readdirSync(tmpdir())].filter((name) => name.startsWith(PREFIX));
  const ids = new Set(names.map((name) => name.replace(/-(pod|outside)$/, '')));
  return [...ids]
    .filter((id) => {
      const [, pid, startTicks] = /-(\d+)-(\d+)$/.exec(id) ?? [];
      return pid !== undefined && startTicks !== undefined && !isAlive({ pid: Number(pid), startTicks });
    })
    .map((id) => ({ pod: `${id}-pod`, outside: `${id}-outside`, stage: stageAt(join(tmpdir(), id)) }));
}

/** Whether anything of this world is still there. */
export function remains({ pod, outside, stage }: PodLike): readonly string[] {
  const folder = readdirSync(tmpdir()).filter((name) => join(tmpdir(), name) === stage.directory);
  return [...netnsNames().filter((name) => name === pod || name === outside), ...folder];
}

/** What a started program printed so far. */
export function logOf(running: Running): string {
  return readFileSync(running.log, 'utf8');
}

function netnsNames(): string[] {
  try {
    return readdirSync('/run/netns');
  } catch {
    return [];
  }
}

/** The netns is ours alone, so whatever runs in it is, too. */
function pidsIn(netns: string): number[] {
  const { stdout } = spawnSync('ip', ['netns', 'pids', netns], { encoding: 'utf8' });
  return (stdout ?? '').split('\n').filter(Boolean).map(Number);
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}
