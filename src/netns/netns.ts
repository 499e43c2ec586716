import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { ControllerError, errnoOf, messageOf } from '../errors.ts';
import { errnoName, libc } from './libc.ts';
import { closeSockets, keepSockets, netnsCookie } from './netlink-socket.ts';

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

/** linux/sched.h, linux/proc_ns.h */
const CLONE_NEWNET = 0x40000000;
const PROC_NET_INIT_INO = 0xeffffff9n;

let poolWarm = false;
let inside = false;
let homeFd: number | undefined;
let home: Identity | undefined;
let mayLookAtFirstProcess = true;

type Identity = Pick<Netns, 'device' | 'inode'>;

/** Read at the first visit: only from within can it be had. */
const COOKIES = new WeakMap<Netns, string>();

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
    const own = ownIdentity();
    // All namespace files are of one file system (nsfs), which is mounted once in the kernel. By the descriptor, not by the path, which may
    // lead elsewhere by now.
    if (device !== own.device) throw invalid(path, 'it is not a namespace file');
    if (inode === PROC_NET_INIT_INO || inode === own.inode || isFirstProcess(device, inode)) throw isHost(path);
    let open = true;
    const close = (): void => {
      if (open) closeSync(fd);
      open = false;
    };
    const netns: Netns = {
      path,
      device,
      inode,
      fd,
      close,
      get cookie() {
        return COOKIES.get(netns) ?? enterNetns(netns, () => COOKIES.get(netns) ?? '');
      },
    };
    return netns;
  } catch (error: unknown) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Runs `work` inside the netns and comes back, whatever happens. All of it in one synchronous stretch of the calling thread: nothing
 * else of this process can run in between. A process that could not come back, or left work behind inside (a promise), is in an
 * unknown netns and could program the node: it is ended on the spot. Refuses the host's netns, before `work`.
 */
export function enterNetns<T>(netns: Netns, work: () => T): T {
  return enterFd(netns.fd, netns.path, () => {
    const cookie = COOKIES.get(netns) ?? netnsCookie();
    // The first netns of a kernel from 5.14 to 6.17 always has cookie 1; newer ones give it a fixed inode instead.
    if (cookie === '1') throw isHost(netns.path);
    COOKIES.set(netns, cookie);
    return work();
  });
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

function enterFd<T>(fd: number, path: string, work: () => T): T {
  if (!poolWarm) throw new ControllerError('Internal', 'warmThreadPool() must have ended before a netns is entered');
  if (inside) throw new ControllerError('Internal', `${path}: another netns is still entered`);
  const back = ownFd();
  const entered = libc().setns(fd, CLONE_NEWNET);
  if (entered < 0) throw notEntered(path, entered);
  inside = true;
  keepSockets();
  let result: T;
  try {
    result = work();
  } finally {
    closeSockets();
    const left = libc().setns(back, CLONE_NEWNET);
    inside = false;
    if (left < 0) die(`cannot leave the netns ${path}: ${errnoName(left)}`);
  }
  if (isThenable(result)) die(`work inside the netns ${path} was asynchronous`);
  return result;
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
        hint: 'The sandbox is gone, or the directory of the runtime (/var/run/netns; of Docker /var/run/docker/netns) is not mounted with HostToContainer propagation.',
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

/** The netns this thread began in, to which it always comes back. By /proc/thread-self, because setns is per thread. */
function ownFd(): number {
  homeFd ??= openSync('/proc/thread-self/ns/net', constants.O_RDONLY);
  return homeFd;
}

/** Of a descriptor that stays open: nobody else can ever have the same. */
function ownIdentity(): Identity {
  if (home === undefined) {
    const { dev: device, ino: inode } = fstatSync(ownFd(), { bigint: true });
    home = { device, inode };
  }
  return home;
}

/** Is it the netns of process 1 as we see it? Not to be told without CAP_SYS_PTRACE, and that does not change. */
function isFirstProcess(device: bigint, inode: bigint): boolean {
  if (!mayLookAtFirstProcess) return false;
  try {
    const { dev, ino } = statSync('/proc/1/ns/net', { bigint: true });
    return dev === device && ino === inode;
  } catch (error: unknown) {
    if (errnoOf(error) === undefined) throw error;
    mayLookAtFirstProcess = false;
    return false;
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
