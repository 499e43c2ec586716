import type { ApiServer } from './api-server.ts';
import { usageOf } from '../process-usage.ts';
import { parseMetrics, total } from './server-metrics.ts';

/** What the API server holds once it has collected its garbage, and what it has used. */
export interface ServerSnapshot {
  /** Go's heap that is in use, and the stacks of its goroutines. */
  readonly heapMiB: number;
  readonly stacksMiB: number;
  readonly goroutines: number;
  readonly watches: number;
  readonly rssMiB: number;
  readonly peakRssMiB: number;
  readonly cpuSeconds: number;
}

const MIB = 2 ** 20;

export async function snapshot(server: ApiServer): Promise<ServerSnapshot> {
  // Go collects before it writes this profile: what is counted afterwards is what lives.
  await server.text('/debug/pprof/heap?gc=1');
  const samples = parseMetrics(await server.text('/metrics'));
  return {
    heapMiB: total(samples, 'go_memstats_heap_alloc_bytes') / MIB,
    stacksMiB: total(samples, 'go_memstats_stack_inuse_bytes') / MIB,
    goroutines: total(samples, 'go_goroutines'),
    watches: total(samples, 'apiserver_longrunning_requests', { verb: 'WATCH' }),
    ...usageOf(server.pid()),
  };
}

/** What the API server turned away since it started: by its own limits on concurrency, and by status code. */
export async function turnedAway(server: ApiServer): Promise<Record<string, number>> {
  const samples = parseMetrics(await server.text('/metrics'));
  const away: Record<string, number> = {};
  for (const { name, labels, value } of samples) {
    if (name === 'apiserver_flowcontrol_rejected_requests_total')
      add(`rejected ${labels['priority_level']} ${labels['reason']}`, value);
    const code = labels['code'] ?? '';
    if (name === 'apiserver_request_total' && code >= '400')
      add(`${labels['verb']} ${labels['resource']} ${code}`, value);
  }
  return away;

  function add(what: string, value: number): void {
    if (value > 0) away[what] = (away[what] ?? 0) + value;
  }
}
