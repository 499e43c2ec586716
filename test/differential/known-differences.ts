import type { IstioMode } from './istio.ts';
import type { Circumstances, Sighting, Trial } from './trial.ts';

/** A deliberate difference from Istio: when it explains what was seen, and the row of docs/differences.md that gives the reason. */
export interface KnownDifference {
  /** First column of its row. */
  readonly title: string;
  readonly explains: (seen: SeenDifference) => boolean;
}

export interface SeenDifference extends Circumstances {
  readonly mode: IstioMode;
  readonly trial: Trial;
  readonly ours: Sighting;
  readonly istio: Sighting;
}

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    // The pod's first address is IPv4, so that Istio writes no IPv6 rules (iptables) or half of them (nft), and no ::6.
    title: 'IPv6',
    explains: ({ inputs, mode, trial, istio }) =>
      trial.family === 6 && !inputs.dualStack && (mode === 'nft' || istio.seen.kind === 'passed'),
  },
  {
    // nft's tproxy lets the packet go on; that of iptables drops it, as our rules do.
    title: 'TPROXY while nothing listens on the inbound port',
    explains: ({ inputs, mode, proxyAway, ours, istio }) =>
      inputs.mode === 'TPROXY' &&
      mode === 'nft' &&
      proxyAway &&
      ours.seen.kind === 'dropped' &&
      istio.seen.kind !== 'dropped',
  },
];

/** Inputs for which Istio's tool fails, so that there is nothing to compare with. */
export interface KnownFailure {
  readonly title: string;
  readonly explains: (failed: Pick<SeenDifference, 'inputs' | 'mode'>) => boolean;
}

export const KNOWN_FAILURES: readonly KnownFailure[] = [
  {
    // Its nft rules jump to chains for the servers, which are only made if one of them is IPv4.
    title: 'DNS capture with IPv6 name servers only',
    explains: ({ inputs, mode }) =>
      mode === 'nft' &&
      inputs.dns === 'servers' &&
      !inputs.dualStack &&
      inputs.nameServers.every((server) => server.includes(':')),
  },
];
