import type { Log } from '../telemetry/log.ts';

/** SIGTERM and SIGINT end a verb in order; a second one ends it at once. */
export function stopSignal(log: Log): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      log.info('stopping', { signal: name });
      controller.abort();
    });
  }
  return controller.signal;
}
