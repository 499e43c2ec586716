import { setTimeout as delay } from 'node:timers/promises';
import type { Transport } from '../../src/kube/request.ts';
import type { ApiServer } from './api-server.ts';
import type { Crew } from './crew.ts';
import { type Herd, herdOf } from './herd.ts';
import { monotonicMs } from './monotonic.ts';
import { MARKER_ANNOTATION, namespaceName } from './objects.ts';
import type { CrewReport } from './protocol.ts';
import { turnedAway } from './snapshot.ts';
import { usageOf } from '../process-usage.ts';

/** Long enough that a watch which was accepted only to be told that its version is too old has been told. */
const SETTLED = { quietMs: 1_500, timeoutMs: 150_000 };

/** Everybody comes (back) at once: the herd, what it cost, and who paid. */
export interface Arrival {
  readonly what: string;
  readonly nodes: number;
  /** False: not all were back when we stopped to wait. */
  readonly settled: boolean;
  readonly herd: Herd;
  /** How long the server was left alone before it was started again. */
  readonly pauseMs: number;
  /** From the last moment the server was there until it says that it is ready again: the pause, and the time it takes to start. */
  readonly awayMs: number;
  /** Of a killed one that was started again, its own start is a part: some are back before it says that it is ready. */
  readonly serverCpuSeconds: number;
  /** Of all agents together: in a cluster it is spent on as many machines. */
  readonly agentsCpuSeconds: number;
  readonly receivedBytes: number;
  readonly serverPeakRssMiB: number;
  readonly turnedAway: Readonly<Record<string, number>>;
  /** By agent: after so many milliseconds it knew of a change that was made when the server could be used. Empty where nothing was changed. */
  readonly knewMs: readonly number[];
}

/** All agents are started in one instant, as by a DaemonSet that is created. */
export async function coldStart(
  server: ApiServer,
  crew: Crew,
  options: Omit<Parameters<Crew['start']>[0], 'url' | 'ca'>,
): Promise<Arrival> {
  const observed = await observe(server, crew);
  const startMs = monotonicMs();
  const { cpuSeconds: cpuFromSeconds } = usageOf(server.pid());
  crew.start({ url: server.url, ca: server.ca, ...options });
  return observed('first start', { cpuFromSeconds, fromMs: startMs, pauseMs: 0, awayMs: 0, markedAtMs: undefined });
}

/**
 * The API server is killed, stays away, and is started again: the only one there is, so everybody waits for it. Counted from its start, not
 * from when it says that it is ready: beside a herd on the same cores that comes late, when most are back.
 */
export async function outage(server: ApiServer, crew: Crew, pauseMs: number): Promise<Arrival> {
  const observed = await observe(server, crew);
  const goneMs = monotonicMs();
  await server.kill();
  await delay(pauseMs);
  const fromMs = monotonicMs();
  await server.start();
  const readyMs = monotonicMs();
  const markedAtMs = await mark(server.admin, `outage-${readyMs}`);
  return observed('API server killed', {
    cpuFromSeconds: 0,
    fromMs,
    pauseMs,
    awayMs: readyMs - goneMs,
    markedAtMs,
  });
}

/** The API server is replaced without ever being away, as in an update of a control plane of several: all of its watches end in one instant. */
export async function replacement(server: ApiServer, crew: Crew): Promise<Arrival> {
  const observed = await observe(server, crew);
  let endingMs = Number.NaN;
  let cpuFromSeconds = Number.NaN;
  await server.replace(() => {
    endingMs = monotonicMs();
    ({ cpuSeconds: cpuFromSeconds } = usageOf(server.pid()));
  });
  const markedAtMs = await mark(server.admin, `replacement-${endingMs}`);
  return observed('API server replaced', {
    cpuFromSeconds,
    fromMs: endingMs,
    pauseMs: 0,
    awayMs: 0,
    markedAtMs,
  });
}

/** Changes one Namespace; gives the moment at which that was asked for. */
async function mark(admin: Transport, marker: string): Promise<number> {
  const sentMs = monotonicMs();
  await admin.write(
    {
      method: 'PATCH',
      verb: 'patch',
      resource: 'namespaces',
      path: `/api/v1/namespaces/${namespaceName(0)}`,
      body: {
        contentType: 'application/merge-patch+json',
        json: { metadata: { annotations: { [MARKER_ANNOTATION]: marker } } },
      },
      timeoutMs: 30_000,
    },
    new AbortController().signal,
  );
  return sentMs;
}

async function observe(server: ApiServer, crew: Crew) {
  const before = await crew.report({ clear: true });
  return async (
    what: string,
    times: Pick<Arrival, 'pauseMs' | 'awayMs'> & {
      readonly fromMs: number;
      readonly cpuFromSeconds: number;
      readonly markedAtMs: number | undefined;
    },
  ): Promise<Arrival> => {
    const settled = await crew.settled(SETTLED);
    const after = await crew.report({ clear: true });
    const usage = usageOf(server.pid());
    return {
      what,
      nodes: crew.size,
      settled,
      herd: herdOf(after, times.fromMs),
      pauseMs: times.pauseMs,
      awayMs: times.awayMs,
      serverCpuSeconds: usage.cpuSeconds - times.cpuFromSeconds,
      agentsCpuSeconds: after.cpuSeconds - before.cpuSeconds,
      receivedBytes: after.receivedBytes - before.receivedBytes,
      serverPeakRssMiB: usage.peakRssMiB,
      turnedAway: await turnedAway(server),
      knewMs: knew(after, times.markedAtMs),
    };
  };
}

function knew({ markedMs }: CrewReport, markedAtMs: number | undefined): number[] {
  if (markedAtMs === undefined) return [];
  return Object.values(markedMs).flatMap((seen) => seen.map((seenMs) => seenMs - markedAtMs));
}

/** One change of a Namespace, which every agent watches: milliseconds until each of them knew. */
export async function fanOut(server: ApiServer, crew: Crew, round: number): Promise<readonly number[]> {
  await crew.report({ clear: true });
  const marker = `fan-out-${round}-${monotonicMs()}`;
  const sentMs = await mark(server.admin, marker);
  await crew.marked(marker, 60_000);
  const { markedMs } = await crew.report({ clear: true });
  return (markedMs[marker] ?? []).map((seenMs) => seenMs - sentMs);
}
