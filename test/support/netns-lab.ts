import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { enterNetns, openNetns } from '../../src/netns/netns.ts';
import { type Actor, startActor } from './netns-actor-client.ts';

/** A pod-like netns and, at the other end of its eth0, a netns that plays everything else. Documentation addresses only. */
export interface NetnsLab {
  readonly pod: LabNetns;
  readonly outside: LabNetns;
  /** A process in the pod. */
  actor(options: { readonly uid: number; readonly gid: number; readonly where?: 'pod' | 'outside' }): Promise<Actor>;
  close(): void;
}

export interface LabNetns {
  readonly name: string;
  readonly path: string;
  /** Runs a command inside and returns its standard output; throws if it fails. */
  run(...argv: string[]): string;
  /** Loads nft statements. */
  nft(script: string): void;
}

export const POD_V4 = '198.51.100.10';
export const POD_V6 = '2001:db8:1::10';
/** Addresses of the outside: a service, and one inside the ranges that tests exclude. */
export const SERVICE = { 4: '203.0.113.5', 6: '2001:db8:2::5' } as const;
export const EXCLUDED = { 4: '192.0.2.77', 6: '2001:db8:77::77' } as const;

/** Of every netns made here, with the process that made it: what killed tests left is removed by the next. */
const PREFIX = 'pnct';
const RUNTIME_FOLDER = '/run/netns';
let swept = false;

export interface LabOptions {
  readonly ipv6?: boolean;
  readonly loopbackUp?: boolean;
}

/** Makes both netns; `close` removes them and ends every actor. */
export function createLab(options: LabOptions = {}): NetnsLab {
  const id = newId();
  const pod = addNetns(`${id}-pod`);
  const outside = addNetns(`${id}-out`);
  const actors: Actor[] = [];
  wire(pod, outside, options);
  return {
    pod,
    outside,
    actor: async ({ uid, gid, where }) => {
      const actor = await startActor({ netns: where === 'outside' ? outside.name : pod.name, uid, gid });
      actors.push(actor);
      return actor;
    },
    close: () => {
      for (const actor of actors) actor.stop();
      for (const { name } of [pod, outside]) run('ip', ['netns', 'delete', name]);
    },
  };
}

/** Runs work of ours inside a netns, in this very process. */
export function insideNetns<T>(path: string, work: () => T): T {
  const netns = openNetns(path);
  try {
    return enterNetns(netns, work);
  } finally {
    netns.close();
  }
}

/** A bare netns with `lo` up, as fast as possible. */
export function createBareNetns(): LabNetns & { readonly close: () => void } {
  const netns = addNetns(newId());
  run('ip', ['-netns', netns.name, 'link', 'set', 'lo', 'up']);
  return { ...netns, close: () => run('ip', ['netns', 'delete', netns.name]) };
}

function newId(): string {
  if (!swept) sweep();
  swept = true;
  return `${PREFIX}-${process.pid}-${randomBytes(3).toString('hex')}`;
}

function sweep(): void {
  if (!existsSync(RUNTIME_FOLDER)) return;
  for (const name of readdirSync(RUNTIME_FOLDER)) {
    const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) run('ip', ['netns', 'delete', name]);
  }
}

function wire(pod: LabNetns, outside: LabNetns, { ipv6 = true, loopbackUp = true }: LabOptions): void {
  run('ip', ['-netns', pod.name, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside.name]);
  const inPod = [
    ...(loopbackUp ? ['link set lo up'] : []),
    'link set eth0 up',
    `address add ${POD_V4}/24 dev eth0`,
    'route add default via 198.51.100.1',
    ...(ipv6 ? [`address add ${POD_V6}/64 dev eth0 nodad`] : []),
  ];
  const inOutside = [
    'link set lo up',
    'link set eth0 up',
    'address add 198.51.100.1/24 dev eth0',
    `address add ${SERVICE[4]}/32 dev lo`,
    `address add ${EXCLUDED[4]}/32 dev lo`,
    'address add 2001:db8:1::1/64 dev eth0 nodad',
    `address add ${SERVICE[6]}/128 dev lo nodad`,
    `address add ${EXCLUDED[6]}/128 dev lo nodad`,
  ];
  run('ip', ['-netns', outside.name, '-batch', '-'], inOutside.join('\n'));
  run('ip', ['-netns', pod.name, '-batch', '-'], inPod.join('\n'));
  // As container runtimes set it in a pod.
  pod.run('sysctl', '-qw', 'net.ipv4.ip_unprivileged_port_start=0');
  // Only once both ends are up is there a carrier, and without one IPv6 has no route.
  if (ipv6) run('ip', ['-netns', pod.name, '-6', 'route', 'add', 'default', 'via', '2001:db8:1::1', 'dev', 'eth0']);
}

function addNetns(name: string): LabNetns {
  run('ip', ['netns', 'add', name]);
  return {
    name,
    path: `${RUNTIME_FOLDER}/${name}`,
    run: (...argv) => run('ip', ['netns', 'exec', name, ...argv]),
    nft: (script) => void run('ip', ['netns', 'exec', name, 'nft', '-f', '-'], script),
  };
}

function run(command: string, argv: readonly string[], input = ''): string {
  const { status, stdout, stderr, error } = spawnSync(command, argv, { input, encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${argv.join(' ')}: ${stderr}`);
  return stdout;
}
