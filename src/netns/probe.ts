import type { ConnectProbe, Probe, QueryProbe, RouteProbe } from '../ruleset/probe.ts';
import { runConnectProbes } from './probe-connect.ts';
import { type ProbeContext, SETTLE_MS } from './probe-context.ts';
import { runQueryProbe } from './probe-query.ts';
import type { ProbeResult } from './probe-result.ts';
import { runRouteProbe } from './probe-route.ts';

/**
 * What is captured never leaves the loopback device: microseconds. This is for a machine that stands still meanwhile, and the most that
 * broken rules can hold up this process.
 */
const DEADLINE_MS = 500;

export interface ProbeOptions {
  /** What leaves by these interfaces is not captured: a probe that would be redirected elsewhere shows nothing there. */
  readonly exemptInterfaces: readonly string[];
}

/**
 * Sends every probe in the netns the calling thread is in, as this process's user, and looks where it ends. Synchronous: less than 0.1 ms
 * each, at most half a second where rules are broken. For that moment listeners stand on the proxy's ports; where the proxy has them
 * already, the kernel's own tables tell. What is sent has TTL 1, so an uncaptured packet gets no further than the node, and all
 * connections are closed with RST: nothing lingers.
 */
export function runProbes(probes: readonly Probe[], options: ProbeOptions): readonly ProbeResult[] {
  const deadlineMs = performance.now() + DEADLINE_MS;
  const context: ProbeContext = { ...options, patienceMs: () => Math.max(SETTLE_MS, deadlineMs - performance.now()) };
  return [
    ...runConnectProbes(probes.filter(isConnect), context),
    ...probes.filter(isQuery).map((probe) => runQueryProbe(probe, context)),
    ...probes.filter(isRoute).map(runRouteProbe),
  ];
}

function isConnect(probe: Probe): probe is ConnectProbe {
  return probe.kind === 'connect';
}

function isQuery(probe: Probe): probe is QueryProbe {
  return probe.kind === 'query';
}

function isRoute(probe: Probe): probe is RouteProbe {
  return probe.kind === 'route';
}
