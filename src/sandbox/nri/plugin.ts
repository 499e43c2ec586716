import { messageOf } from '../../errors.ts';
import type { Log } from '../../telemetry/log.ts';
import { type PluginClock, systemClock } from './clock.ts';
import { type ConnectionEnd, runConnection } from './connection.ts';
import { createHookRunner } from './hook-runner.ts';
import type { PluginHooks, PluginObserver } from './plugin-hooks.ts';
import { awaitRetry, awaitSocket } from './socket-return.ts';

export interface PluginOptions {
  /** Absolute path of the runtime's NRI socket. It need not be there yet, nor its folder. */
  readonly socketPath: string;
  /** NRI 0.12 and later: letters, digits and `_.+-`. */
  readonly name: string;
  /** Two digits: the order among the plugins. */
  readonly index: string;
  readonly hooks: PluginHooks;
  readonly observer: PluginObserver;
  readonly log: Log;
  readonly clock?: PluginClock;
}

/** A restarted runtime starts pods at once: each must find us there. */
export const RETRY_MS = 50;
/** For a runtime that does not want us, or loses us again and again: registering costs it a lock over all pods of the node. */
export const RETRY_MS_MAX = 5_000;
/** A connection that lasted this long was a good one. */
const GOOD_AFTER_MS = 10_000;

/**
 * An NRI plugin: the runtime calls it between the network of a new pod and the first container. Connects when there is a socket,
 * again within 100 ms of its return, and until `signal` aborts; what the runtime does never makes this throw.
 */
export async function runPlugin(options: PluginOptions, signal: AbortSignal): Promise<void> {
  const { socketPath, log, clock = systemClock } = options;
  const place = { socketPath, clock };
  const runner = createHookRunner({ ...options, clock });
  let troublesInARow = 0;
  let told = '';

  /** Each state once, however many attempts it lasts. */
  function tell(end: ConnectionEnd): void {
    const reason = 'error' in end ? messageOf(end.error) : end.kind;
    if (end.kind !== 'lost' && reason === told) return;
    told = reason;
    if (end.kind === 'absent') log.info('no NRI socket, waiting for one', { socketPath });
    else if (end.kind === 'silent') log.info('nobody listens on the NRI socket yet', { socketPath });
    else
      log.warn(end.kind === 'lost' ? 'the NRI connection was lost' : 'no NRI connection', {
        socketPath,
        error: reason,
      });
  }

  while (!signal.aborted) {
    const end = await runConnection({ ...options, runner, clock }, signal);
    if (signal.aborted) return;
    tell(end);
    if (end.kind === 'rejected' || end.kind === 'lost') {
      troublesInARow = end.kind === 'lost' && end.lastedMs >= GOOD_AFTER_MS ? 1 : troublesInARow + 1;
    }
    if (end.kind === 'absent') await awaitSocket(place, signal);
    // A connect that is refused is cheap, and the runtime may listen a moment after it made its socket: no back-off.
    else await awaitRetry(place, end.kind === 'silent' ? RETRY_MS : backOffMs(troublesInARow), signal);
  }
}

function backOffMs(troublesInARow: number): number {
  return Math.min(RETRY_MS * 2 ** Math.min(troublesInARow - 1, 10), RETRY_MS_MAX);
}
