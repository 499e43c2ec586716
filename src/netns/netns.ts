import { closeSync, constants, fstatSync, openSync, statfsSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { isAbsolute } from 'node:path';
import { ControllerError, errnoOf, messageOf } from '../errors.ts';
import { errnoName, libc } from './libc.ts';

/** An open network namespace. The descriptor keeps it alive, so device and inode are its identity for as long as it is open. */
export interface Netns {
  readonly path: string;
  readonly device: bigint;
  readonly inode: bigint;
  /** SO_NETNS_COOKIE: unique per boot, never reused, unlike the inode. Empty on kernels before 5.14. */
  readonly cookie: string;
  readonly fd: number;
  /** May be called more than once. */
  close(): void;
}

/** linux/sched.h, asm-generic/socket.h, linux/magic.h, linux/proc_ns.h */
const CLONE_NEWNET = 0x40000000;
const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71;
const NSFS_MAGIC = 0x6e736673;
const PROC_NET_INIT_INO = 0xeffffff9n;
const [AF_INET, AF_UNIX, SOCK_DGRAM, SOCK_CLOEXEC] = [2, 1, 2, 0o2000000] as const;

let poolWarm = false;
let inside = false;
let homeFd: number | undefined;

/**
 * Makes libuv start its thread pool now, in our own netns. libuv starts it with the first job and a thread inherits the netns of the one
 * that starts it: were that thread inside a pod, every later look-up, file and crypto job of the process would run there for good.
 */
export async function warmThreadPool(): Promise<void> {
  await stat('/');
  poolWarm = true;
}

/**
 * Opens the netns at an absolute path (a file that the runtime bind-mounted, or `/proc/<pid>/ns/net`). Refuses what is no netns, and the
 * host's or our own: rules there would cut off the node.
 */
export function openNetns(path: string): Netns {
  if (!isAbsolute(path) || path.includes('\0')) throw invalid(path, 'it must be an absolute path');
  const fd = openFile(path);
  try {
    const { dev: device, ino: inode } = fstatSync(fd, { bigint: true });
    // By the descriptor, not by the path, which may lead elsewhere by now.
    if (statfsSync(`/proc/self/fd/${fd}`).type !== NSFS_MAGIC) throw invalid(path, 'it is not a namespace file');
    refuseHost(path, device, inode);
    const cookie = enterFd(fd, path, readCookie);
    // The first netns of a kernel from 5.14 to 6.17 always has cookie 1; newer ones give it a fixed inode instead.
    if (cookie === '1') throw isHost(path);
    let open = true;
    const close = (): void => {
      if (open) closeSync(fd);
      open = false;
    };
    return { path, device, inode, cookie, fd, close };
  } catch (error: unknown) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Runs `work` inside the netns and comes back, whatever happens. All of it in one synchronous stretch of the calling thread: nothing
 * else of this process can run in between. A process that could not come back, or left work behind inside (a promise), is in an
 * unknown netns and could program the node: it is ended on the spot.
 */
export function enterNetns<T>(netns: Netns, work: () => T): T {
  return enterFd(netns.fd, netns.path, work);
}

/**
 * Throws `NotPermitted` where no netns could be entered: for our own one the kernel demands the same CAP_SYS_ADMIN (netns_install). So an
 * agent that lacks it ends at its start, rather than once for each pod.
 */
export function requireMayEnter(): void {
  const path = '/proc/thread-self/ns/net';
  const fd = openFile(path);
  try {
    enterFd(fd, path, () => undefined);
  } finally {
    closeSync(fd);
  }
}

/** The addresses of the netns the calling thread is in. */
export function addressesHere(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));
}

function enterFd<T>(fd: number, path: string, work: () => T): T {
  if (!poolWarm) throw new ControllerError('Internal', 'warmThreadPool() must have ended before a netns is entered');
  if (inside) throw new ControllerError('Internal', `${path}: another netns is still entered`);
  // /proc/thread-self, because setns is per thread.
  homeFd ??= openSync('/proc/thread-self/ns/net', constants.O_RDONLY);
  const entered = libc().setns(fd, CLONE_NEWNET);
  if (entered < 0) throw notEntered(path, entered);
  inside = true;
  let result: T;
  try {
    result = work();
  } finally {
    const left = libc().setns(homeFd, CLONE_NEWNET);
    inside = false;
    if (left < 0) die(`cannot leave the netns ${path}: ${errnoName(left)}`);
  }
  if (isThenable(result)) die(`work inside the netns ${path} was asynchronous`);
  return result;
}

function readCookie(): string {
  const fd = libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const socket = fd < 0 ? libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : fd;
  if (socket < 0) return '';
  try {
    const value = Buffer.alloc(8);
    return libc().getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, value) < 0 ? '' : value.readBigUInt64LE().toString();
  } finally {
    libc().close(socket);
  }
}

function openFile(path: string): number {
  try {
    // O_NONBLOCK: a path that leads to a pipe must not hang the agent.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error: unknown) {
    const errno = errnoOf(error);
    const details = { fields: { netns: path }, cause: error };
    if (errno === 'ENOENT' || errno === 'ENOTDIR') {
      throw new ControllerError('NetnsMissing', `netns ${path}: there is no such file`, {
        ...details,
        hint: 'The sandbox is gone, or the directory of the runtime (/var/run/netns) is not mounted with HostToContainer propagation.',
      });
    }
    if (errno === 'EACCES' || errno === 'EPERM') {
      const hint =
        'Opening /proc/<pid>/ns/net of another process also needs CAP_SYS_PTRACE; a file in /var/run/netns does not.';
      throw new ControllerError('NotPermitted', `netns ${path}: it cannot be opened`, { ...details, hint });
    }
    throw invalid(path, messageOf(error));
  }
}

/** Our own netns, that of process 1 as we see it, and the first netns of the kernel. */
function refuseHost(path: string, device: bigint, inode: bigint): void {
  const known = ['/proc/thread-self/ns/net', '/proc/1/ns/net'].map(identify);
  if (inode === PROC_NET_INIT_INO || known.includes(`${device}:${inode}`)) throw isHost(path);
}

/** Undefined where it may not be looked at: that of process 1, without CAP_SYS_PTRACE. */
function identify(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error: unknown) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function notEntered(path: string, result: number): ControllerError {
  if (errnoName(result) === 'EPERM') {
    return new ControllerError('NotPermitted', `netns ${path}: it cannot be entered`, {
      hint: 'The process needs CAP_SYS_ADMIN.',
      fields: { netns: path },
    });
  }
  return invalid(path, `setns says ${errnoName(result)}`);
}

function invalid(path: string, why: string): ControllerError {
  return new ControllerError('NetnsInvalid', `netns ${path}: ${why}`, { fields: { netns: path } });
}

function isHost(path: string): ControllerError {
  return new ControllerError('NetnsIsHost', `netns ${path} is the host's or the agent's own`, {
    fields: { netns: path },
  });
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function die(why: string): never {
  process.stderr.write(`istio-pod-network-controller: ${why}; aborting\n`);
  return process.abort();
}
