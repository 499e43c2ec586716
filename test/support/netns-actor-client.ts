import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Reply, Request } from './netns-actor.ts';

/** A process of some uid inside a netns that listens and connects when told to. */
export interface Actor {
  /** Listens on a port of both families, and answers each connection with `label:port original-destination`. */
  listen(label: string, ports: readonly number[]): Promise<void>;
  /** Who answered, e.g. `proxy:15001 203.0.113.5:80`, or the error code. */
  connect(address: string, port: number): Promise<string>;
  /** The alias of `lo` as any process of the pod reads it. */
  readAlias(): Promise<string>;
  stop(): void;
}

/** Starts as root, because only root may enter, and becomes `uid` before it says that it is ready. */
export async function startActor(options: {
  readonly netns: string;
  readonly uid: number;
  readonly gid: number;
}): Promise<Actor> {
  const script = fileURLToPath(new URL('./netns-actor.ts', import.meta.url));
  const argv = ['netns', 'exec', options.netns, process.execPath, script, String(options.uid), String(options.gid)];
  const child = spawn('ip', argv, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await once(child, 'message');
  let turn: Promise<unknown> = Promise.resolve();
  const ask = (request: Request): Promise<string> => {
    const answer = turn.then(() => exchange(child, request));
    turn = answer.catch(() => undefined);
    return answer;
  };
  return {
    listen: async (label, ports) => void (await ask({ kind: 'listen', label, ports })),
    connect: (address, port) => ask({ kind: 'connect', address, port }),
    readAlias: () => ask({ kind: 'alias' }),
    stop: () => void child.kill('SIGKILL'),
  };
}

async function exchange(child: ChildProcess, request: Request): Promise<string> {
  const answered = once(child, 'message');
  child.send(request);
  const [reply]: Reply[] = await answered;
  if (reply === undefined || reply.startsWith('failed: ')) throw new Error(`actor: ${reply}`);
  return reply;
}
