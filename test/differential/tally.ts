import { SETTING_NAMES } from './settings.ts';

/** What was tried and how it went, per setting and in all. */

export interface KernelCounts {
  policies: number;
  packets: number;
  mismatches: number;
}

export interface IstioCounts {
  policies: number;
  packets: number;
  /** Policies for which Istio's tool failed, as it is known to. */
  failed: number;
  explained: number;
  unexplained: number;
}

export interface Counts {
  readonly kernel: KernelCounts;
  readonly nft: IstioCounts;
  readonly iptables: IstioCounts;
}

export interface Tally {
  readonly total: Counts;
  readonly bySetting: ReadonlyMap<string, Counts>;
  /** How often each known difference explained something. */
  readonly explanations: Map<string, number>;
}

export function emptyTally(): Tally {
  return {
    total: noCounts(),
    bySetting: new Map(SETTING_NAMES.map((name) => [name, noCounts()])),
    explanations: new Map(),
  };
}

/** The counts that a policy with these settings adds to. */
export function countsFor(tally: Tally, settings: readonly string[]): readonly Counts[] {
  return [tally.total, ...settings.flatMap((name) => tally.bySetting.get(name) ?? [])];
}

export function isClean({ total }: Tally): boolean {
  return total.kernel.mismatches + total.nft.unexplained + total.iptables.unexplained === 0;
}

function noCounts(): Counts {
  const istio = () => ({ policies: 0, packets: 0, failed: 0, explained: 0, unexplained: 0 });
  return { kernel: { policies: 0, packets: 0, mismatches: 0 }, nft: istio(), iptables: istio() };
}
