import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { isIstioMode, type IstioMode } from './istio-mode.ts';
import { DEFAULT_KUBERNETES, isKubernetesMinor, type KubernetesMinor } from './kubernetes.ts';
import { LabError } from './lab-error.ts';
import { checkout, run } from './paths.ts';
import { DEFAULT_RUNTIME, isRuntime, type Runtime } from './runtime.ts';

/** What `up` wrote down about the machine before it changed it, so that any later `down` can put it back. */
export interface Owner {
  /** The checkout whose lab this is; it may be gone. */
  readonly checkout: string;
  /** How Istio was installed last. */
  readonly mode: IstioMode;
  readonly kubernetes: KubernetesMinor;
  readonly runtime: Runtime;
  /** Settings as they were, path below /proc/sys → value. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** Folders that did not exist before and that the lab's programs make. */
  readonly folders: readonly string[];
  /** Pinned network namespaces that look like a pod's and were there before. */
  readonly foreignNetns: readonly string[];
  /** Folders that the lab makes shared mounts. */
  readonly sharedFolders: readonly string[];
}

/** The record of the lab on this machine, or undefined if there is none. */
export function readOwner(): Owner | undefined {
  try {
    const read: unknown = JSON.parse(readFileSync(run.owner, 'utf8'));
    // A lab of an older checkout does not say these.
    const usual = { kubernetes: DEFAULT_KUBERNETES, runtime: DEFAULT_RUNTIME };
    const value: unknown = typeof read === 'object' ? { ...usual, ...read } : read;
    return isOwner(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Writes the record, whole or not at all. */
export function writeOwner(owner: Owner): void {
  // 0711: the root of a pod with a user namespace of its own has to walk through to its root file system, and is nobody here.
  mkdirSync(run.directory, { recursive: true, mode: 0o711 });
  writeFileSync(`${run.owner}.new`, JSON.stringify(owner, null, 2));
  renameSync(`${run.owner}.new`, run.owner);
}

/** Forgets the lab of this machine. */
export function removeRunDirectory(): void {
  rmSync(run.directory, { recursive: true, force: true });
}

/** Throws if a living checkout other than this one owns the machine's lab. */
export function refuseOthers(owner: Owner | undefined, running: boolean, verb: string): void {
  if (owner === undefined || owner.checkout === checkout || !running || !existsSync(owner.checkout)) return;
  throw new LabError(`${verb}: a lab of ${owner.checkout} runs on this machine, and a machine holds one`, {
    hint: `End it first: cd ${owner.checkout} && make lab-down`,
  });
}

// An abstract socket: the kernel gives it to one process, and takes it back when that ends, however it ends.
const LOCK = '\0istio-pod-network-controller-lab';

/** Runs `work` while no other `up`, `down` or `load` runs on this machine; throws LabError that names the other one. */
export async function withLock<T>(verb: string, work: () => Promise<T>): Promise<T> {
  const server = await listen(`${verb} of ${checkout} (pid ${process.pid})`);
  try {
    return await work();
  } finally {
    server.close();
  }
}

async function listen(description: string): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => undefined).end(description));
  server.listen(LOCK);
  try {
    await once(server, 'listening');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    throw new LabError(`the lab is busy: ${await askHolder()} is at work`, {
      hint: 'Wait for it to end.',
      cause: error,
    });
  }
  return server.unref();
}

function askHolder(): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = createConnection(LOCK)
      .setEncoding('utf8')
      .setTimeout(2_000, () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text === '' ? 'another command' : text));
  });
}

function isOwner(value: unknown): value is Owner {
  return (
    typeof value === 'object' &&
    value !== null &&
    'checkout' in value &&
    typeof value.checkout === 'string' &&
    'mode' in value &&
    isIstioMode(value.mode) &&
    'kubernetes' in value &&
    isKubernetesMinor(value.kubernetes) &&
    'runtime' in value &&
    isRuntime(value.runtime) &&
    'sysctls' in value &&
    typeof value.sysctls === 'object' &&
    'folders' in value &&
    Array.isArray(value.folders) &&
    'foreignNetns' in value &&
    Array.isArray(value.foreignNetns) &&
    'sharedFolders' in value &&
    Array.isArray(value.sharedFolders)
  );
}
