import type { Landing } from '../../src/ruleset/packet.ts';
import { type MetRule, simulate, type Simulation } from '../../src/ruleset/simulate.ts';
import type { IstioMode } from './istio.ts';
import { KNOWN_DIFFERENCES } from './known-differences.ts';
import { CLIENT } from './places.ts';
import { type Circumstances, packetOf, type Seen, seenText, type Sighting, type Trial } from './trial.ts';

/** Two verdicts about one packet that should be one. */
export interface Disagreement {
  readonly trial: Trial;
  readonly expected: string;
  readonly found: string;
  /** Of our own rules, as the simulator has them. */
  readonly met: readonly MetRule[];
}

/** Where the simulator and the kernel disagree; undefined if they do not. */
export function judgeSimulator(at: Circumstances, trial: Trial, sighting: Sighting): Disagreement | undefined {
  const { landing, met } = simulated(at, trial, sighting);
  const lost = mustBeAnswered(trial, landing) && isLost(sighting);
  if (!lost && isSame(at, trial, { landing, met }, sighting.seen)) return undefined;
  const found = seenText(sighting.seen) + (lost ? ', and no answer came back' : '');
  return { trial, expected: seenText(landing), found, met };
}

function simulated({ ruleset, proxyAway }: Circumstances, trial: Trial, { source }: Sighting): Simulation {
  return simulate(ruleset, packetOf(trial, source), { hasListener: !proxyAway });
}

/**
 * What a process of the pod sends must be answered. What arrives from elsewhere may be answered in vain: a query from port 53 looks like an
 * answer. So may the proxy, if it speaks with a client's address and is redirected for its uid or gid: to itself, whose answer then has no
 * way back. Istio's rules do either, too.
 */
function mustBeAnswered({ direction, family, from }: Trial, landing: Landing): boolean {
  if (from.address === CLIENT[family] && landing.kind === 'redirected') return false;
  return direction === 'outbound';
}

/** Somebody got the packet, but the answer did not come back. */
function isLost({ seen, answered }: Sighting): boolean {
  return !answered && seen.kind !== 'dropped' && seen.kind !== 'refused';
}

function isSame(
  { proxyAway }: Circumstances,
  trial: Trial,
  { landing, met }: Pick<Simulation, 'landing' | 'met'>,
  seen: Seen,
): boolean {
  // Nobody but conntrack's verdict counts for these: TCP itself refuses them wherever they land.
  if (trial.state === 'invalid') return (landing.kind === 'dropped') === (seen.kind === 'dropped');
  if (seenText(landing) === seenText(seen)) return true;
  if (proxyAway && landing.kind === 'redirected' && isTurnedAway(trial, seen)) return true;
  // A redirect to where the packet was going anyway cannot be told from none; nor after tproxy, which had given it its socket.
  if (seen.kind === 'tproxied' && landing.kind === 'redirected' && landing.port === seen.port) return true;
  if (seen.kind === 'passed') return 'port' in landing && landing.port === trial.to.port;
  const redirects = met.flatMap(({ rule: { verdict } }) => (verdict.kind === 'redirect' ? [verdict.port] : []));
  return (
    seen.kind === 'tproxied' && 'port' in landing && landing.port === seen.port && redirects.includes(trial.to.port)
  );
}

/** At the proxy's door, with nobody behind it. The ICMP error for UDP is lost: conntrack looks for its query in the wrong zone. */
function isTurnedAway({ protocol }: Trial, { kind }: Seen): boolean {
  return kind === 'refused' || (protocol === 'udp' && kind === 'dropped');
}

/** How Istio's rules treated the packet otherwise; the difference that explains it, if one does. */
export interface Difference extends Disagreement {
  readonly explanation: string | undefined;
}

export function judgeIstio(
  at: Circumstances & { readonly mode: IstioMode },
  trial: Trial,
  sightings: { readonly ours: Sighting; readonly istio: Sighting },
): Difference | undefined {
  const [ours, istio] = [verdictText(sightings.ours), verdictText(sightings.istio)];
  if (ours === istio) return undefined;
  const { met } = simulated(at, trial, sightings.ours);
  const known = KNOWN_DIFFERENCES.find(({ explains }) => explains({ ...at, trial, ...sightings }));
  return { trial, expected: istio, found: ours, met, explanation: known?.title };
}

function verdictText(sighting: Sighting): string {
  return seenText(sighting.seen) + (isLost(sighting) ? ', unanswered' : '');
}
