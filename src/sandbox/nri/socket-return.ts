import { existsSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { PluginClock } from './clock.ts';

/** For a folder that is not there, or cannot be watched (a node has a limit of watches). */
export const SLOW_LOOK_MS = 1_000;

/** Where the runtime makes its socket anew at each start, so that the folder tells of it. */
export interface SocketPlace {
  readonly socketPath: string;
  readonly clock: PluginClock;
}

/**
 * Resolves when something is at `socketPath`, when it is time to look again, or when `signal` aborts. The folder may not be there either,
 * on a node whose runtime knows no NRI.
 */
export async function awaitSocket(place: SocketPlace, signal: AbortSignal): Promise<void> {
  // Looked at when the watch is on, so that a socket that comes in between is not missed.
  await pause(place, SLOW_LOOK_MS, signal, () => existsSync(place.socketPath));
}

/** Resolves after `ms`, or as soon as there is another socket: another runtime, whom we owe no patience. Or when `signal` aborts. */
export async function awaitRetry(place: SocketPlace, ms: number, signal: AbortSignal): Promise<void> {
  await pause(place, ms, signal, () => false);
}

async function pause(place: SocketPlace, ms: number, signal: AbortSignal, isOver: () => boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stopWatching = watchFor(place.socketPath, resolve);
  const wake = () => resolve();
  signal.addEventListener('abort', wake, { once: true });
  const cancelTimer = place.clock.after(ms, resolve);
  if (signal.aborted || isOver()) resolve();
  await promise;
  cancelTimer();
  signal.removeEventListener('abort', wake);
  stopWatching();
}

function watchFor(socketPath: string, seen: () => void): () => void {
  try {
    const watcher = watch(dirname(socketPath), (_, name) => {
      if (name === basename(socketPath)) seen();
    });
    // The slow look remains.
    watcher.on('error', () => watcher.close());
    return () => watcher.close();
  } catch {
    return () => {};
  }
}
