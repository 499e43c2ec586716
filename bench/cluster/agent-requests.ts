import { setTimeout as delay } from 'node:timers/promises';
import { auditedRequests } from '../../lab/audit.ts';

const AGENT = 'system:serviceaccount:istio-pod-network-controller:istio-pod-network-controller';
/** The API server writes its log in batches. */
const LOG_BEHIND_MS = 3_000;

/** Counts what the agent asks the API server for, by kind, as the server's own log has it. */
export interface RequestCount {
  /** Counts what is in the log by now: in good time, for the server keeps only the newest 96 MB. */
  collect(): void;
  /** All from the beginning to now. */
  finish(): Promise<ReadonlyMap<string, number>>;
}

export function countAgentRequests(): RequestCount {
  const counts = new Map<string, number>();
  let countedToMs = Date.now();

  function countTo(untilMs: number): void {
    for (const request of auditedRequests({ user: AGENT, sinceMs: countedToMs })) {
      if (request.timeMs >= untilMs) continue;
      const kind = `${request.verb} ${[request.resource, request.subresource].filter(Boolean).join('/')}`;
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
    countedToMs = untilMs;
  }

  return {
    collect: () => {
      const untilMs = Date.now() - LOG_BEHIND_MS;
      if (untilMs > countedToMs) countTo(untilMs);
    },
    finish: async () => {
      const untilMs = Date.now();
      await delay(LOG_BEHIND_MS);
      countTo(untilMs);
      return counts;
    },
  };
}
