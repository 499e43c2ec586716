import { connect } from 'node:net';
import { ControllerError, errnoOf } from '../../errors.ts';
import type { Log } from '../../telemetry/log.ts';
import type { PluginClock } from './clock.ts';
import type { HookRunner } from './hook-runner.ts';
import type { PluginHooks, PluginObserver } from './plugin-hooks.ts';
import { createPluginSession } from './session.ts';

export interface ConnectionOptions {
  readonly socketPath: string;
  readonly name: string;
  readonly index: string;
  readonly hooks: PluginHooks;
  readonly observer: PluginObserver;
  readonly runner: HookRunner;
  readonly log: Log;
  readonly clock: PluginClock;
}

/**
 * `absent`: there is no socket. `silent`: there is one, and nobody listens (yet). `rejected`: it ended before we were synchronized.
 * `lost`: after.
 */
export type ConnectionEnd =
  | { readonly kind: 'absent' | 'silent' }
  | { readonly kind: 'rejected'; readonly error: Error }
  | { readonly kind: 'lost'; readonly error: Error; readonly lastedMs: number };

/**
 * From connect to Configure. The runtimes give a plugin 5 s, but take one in at a time: a mute one before us costs us its 5 s. The
 * connection of a runtime that is stopped, or of something that is no runtime, is never answered at all.
 */
export const REGISTRATION_MS_MAX = 10_000;
/** From Configure to Synchronize: the runtime first lets the sandboxes end that it is starting, and kubelet allows each 4 min. */
export const SYNCHRONIZE_MS_MAX = 300_000;
/** Answers are some bytes each. */
const UNSENT_BYTES_MAX = 1024 * 1024;

/** One connection, from connect to close. Ends when the runtime ends it, breaks the protocol or stays mute, and when `signal` aborts. */
export async function runConnection(options: ConnectionOptions, signal: AbortSignal): Promise<ConnectionEnd> {
  const { hooks, observer, runner, log, clock } = options;
  const socket = connect(options.socketPath);
  let failure: Error | undefined;
  let isConnected = false;
  let synchronizedAtMs: number | undefined;
  let cancelLimit = () => {};

  function limit(ms: number, what: string): void {
    cancelLimit();
    cancelLimit = clock.after(ms, () => socket.destroy(unavailable(`has not ${what} within ${ms} ms`)));
  }

  function send(bytes: Buffer): void {
    // A hook may end after the connection did.
    if (socket.destroyed) return;
    socket.write(bytes);
    if (socket.writableLength > UNSENT_BYTES_MAX) socket.destroy(unavailable('does not read what it is answered'));
  }

  const session = createPluginSession({
    name: options.name,
    index: options.index,
    hooks,
    runner,
    log,
    send,
    configured: () => limit(SYNCHRONIZE_MS_MAX, 'synchronized the plugin'),
    synchronized: (told) => {
      cancelLimit();
      if (synchronizedAtMs === undefined) {
        synchronizedAtMs = clock.nowMs();
        log.info('the runtime calls us for new pods', { runtime: told.runtime.name, version: told.runtime.version });
        observer.connected();
        runner.tell('connected', () => hooks.connected(true));
      }
      runner.tell('synchronized', () => hooks.synchronized(told));
    },
  });

  const close = () => socket.destroy();
  signal.addEventListener('abort', close, { once: true });
  if (signal.aborted) close();
  await new Promise<void>((resolve) => {
    socket.on('connect', () => {
      isConnected = true;
      limit(REGISTRATION_MS_MAX, 'taken the plugin in');
      session.register();
    });
    socket.on('data', (chunk) => {
      try {
        session.receive(chunk);
      } catch (error: unknown) {
        socket.destroy(error instanceof Error ? error : new ControllerError('Internal', String(error)));
      }
    });
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => resolve());
  });
  signal.removeEventListener('abort', close);
  cancelLimit();

  if (!isConnected) return notConnected(failure);
  const error = failure ?? unavailable('closed the connection');
  if (synchronizedAtMs === undefined) {
    if (!signal.aborted) observer.rejected();
    return { kind: 'rejected', error };
  }
  if (!signal.aborted) observer.lost();
  runner.tell('connected', () => hooks.connected(false));
  return { kind: 'lost', error, lastedMs: clock.nowMs() - synchronizedAtMs };
}

/** Errnos of a connect: no such file; a file nobody listens on, or a listener with too many waiting. */
function notConnected(failure: Error | undefined): ConnectionEnd {
  const errno = errnoOf(failure);
  if (errno === 'ENOENT' || errno === 'ENOTDIR') return { kind: 'absent' };
  if (errno === 'ECONNREFUSED' || errno === 'EAGAIN') return { kind: 'silent' };
  return { kind: 'rejected', error: failure ?? unavailable('was not asked: we are ending') };
}

function unavailable(what: string): ControllerError {
  return new ControllerError('RuntimeUnavailable', `NRI: the runtime ${what}`);
}
