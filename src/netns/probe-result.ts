import { ControllerError } from '../errors.ts';
import type { Probe } from '../ruleset/probe.ts';

/**
 * What a probe showed.
 * - `proven`: it went where the policy says.
 * - `unroutable`: nothing of the kind can leave, or what leaves so is exempt. No failure.
 * - `failed`: the rules or routes do not do what they should.
 */
export interface ProbeResult {
  readonly probe: Probe;
  readonly outcome: 'proven' | 'unroutable' | 'failed';
  /** One sentence for people. */
  readonly detail: string;
}

/** Why nothing can be told beside a running proxy. */
export const NO_CTNETLINK = 'the proxy has the port, and the kernel has no ctnetlink to tell';

/** A probe that can show nothing here, and why. */
export function unroutable(probe: Probe, why: string): ProbeResult {
  return verdict(probe, 'unroutable', `shows nothing: ${why}`);
}

export function verdict(probe: Probe, outcome: ProbeResult['outcome'], what: string): ProbeResult {
  const address = probe.family === 6 ? `[${probe.address}]` : probe.address;
  return { probe, outcome, detail: `${subjectOf(probe, address)} ${what} (${probe.reason})` };
}

function subjectOf(probe: Probe, address: string): string {
  switch (probe.kind) {
    case 'connect':
      return `a connection to ${address}:${probe.port}`;
    case 'query':
      return `a DNS query to ${address}:${probe.port} over UDP`;
    case 'route':
      return `a packet to ${address} with mark ${probe.mark}`;
  }
}

export function loopbackDown(): ControllerError {
  return new ControllerError('ProofFailed', 'lo is not up in the netns: redirected connections have nowhere to go', {
    hint: 'The container runtime (or its loopback CNI plugin) brings lo up when it makes the sandbox.',
  });
}
