import { renderIptables } from '../../src/backend/iptables/render.ts';
import { renderNft } from '../../src/backend/nft/render.ts';
import { NO_DEFAULTS } from '../../src/capture/policy.ts';
import { resolvePolicy } from '../../src/capture/resolve.ts';
import { messageOf } from '../../src/errors.ts';
import { parsePod } from '../../src/pod/parse-pod.ts';
import { buildRuleset } from '../../src/ruleset/build.ts';
import { planProbes } from '../../src/ruleset/probe-plan.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import { type HostilePod, hostilePod } from './hostile-pod.ts';
import { strangerInIptables, strangerInNft } from './vocabulary.ts';

export interface FuzzResult {
  readonly tried: number;
  readonly accepted: number;
  readonly refused: number;
  readonly crashed: number;
  readonly hung: number;
  /** Text of a pod stood in what a backend was handed. */
  readonly unparsed: number;
  readonly slowestMs: number;
  /** At most the first ten. */
  readonly findings: readonly Finding[];
}

export interface Finding {
  readonly what: 'crashed' | 'hung' | 'unparsed';
  readonly index: number;
  readonly pod: HostilePod;
  readonly detail: string;
}

type Verdict =
  | { readonly what: 'accepted' | 'refused' }
  | { readonly what: 'crashed' | 'unparsed'; readonly detail: string };

/** Longer than the longest list takes on a slow machine. */
export const TOO_LONG_MS = 1_000;
const FINDINGS_MAX = 10;

/** Hostile values, one a pod, all the way to what a backend would be handed. */
export function fuzz(options: {
  readonly values: number;
  readonly seed: number;
  /** Asked before each value: whoever watches knows which one does not come back. */
  readonly onValue?: (index: number) => void;
}): FuzzResult {
  const counts = { accepted: 0, refused: 0, crashed: 0, hung: 0, unparsed: 0 };
  const findings: Finding[] = [];
  let slowestMs = 0;
  let index = 0;
  for (; index < options.values && findings.length < FINDINGS_MAX; index += 1) {
    options.onValue?.(index);
    const pod = hostilePod(options.seed, index);
    const { verdict, tookMs } = timed(pod);
    slowestMs = Math.max(slowestMs, tookMs);
    counts[verdict.what] += 1;
    if ('detail' in verdict) findings.push({ what: verdict.what, index, pod, detail: verdict.detail });
    if (tookMs > TOO_LONG_MS) {
      counts.hung += 1;
      findings.push({ what: 'hung', index, pod, detail: `${tookMs.toFixed(0)} ms` });
    }
  }
  return { tried: index, ...counts, slowestMs, findings };
}

/** A machine that is busy with something else can make one value slow, but hardly the same one twice. */
function timed(pod: HostilePod): { readonly verdict: Verdict; readonly tookMs: number } {
  const once = (): { readonly verdict: Verdict; readonly tookMs: number } => {
    const startedMs = performance.now();
    const verdict = judge(pod);
    return { verdict, tookMs: performance.now() - startedMs };
  };
  const first = once();
  return first.tookMs > TOO_LONG_MS ? once() : first;
}

function judge({ manifest, nameservers }: HostilePod): Verdict {
  try {
    const options = { sidecarName: 'istio-proxy', nameservers };
    const result = resolvePolicy(parsePod(manifest), NO_DEFAULTS, options);
    if (result.ok) {
      planProbes(result.policy);
      return judgeRuleset(buildRuleset(result.policy));
    }
    const silent = result.problems.find(({ key, allowed }) => key === '' || allowed === '');
    if (silent === undefined) return { what: 'refused' };
    return { what: 'crashed', detail: `refused without saying why: ${JSON.stringify(silent)}` };
  } catch (error: unknown) {
    return { what: 'crashed', detail: messageOf(error) };
  }
}

/** Every renderer must take what the parsers accepted, and write nothing but what they made of it. */
function judgeRuleset(ruleset: Ruleset): Verdict {
  const iptables = renderIptables(ruleset);
  const stranger =
    strangerInNft(renderNft(ruleset)) ?? strangerInIptables(iptables[4]) ?? strangerInIptables(iptables[6]);
  return stranger === undefined ? { what: 'accepted' } : { what: 'unparsed', detail: JSON.stringify(stranger) };
}
