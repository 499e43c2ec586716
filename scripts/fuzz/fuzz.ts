import { renderIptables } from '../../src/backend/iptables/render.ts';
import { renderNft } from '../../src/backend/nft/render.ts';
import { NO_DEFAULTS } from '../../src/capture/policy.ts';
import { resolvePolicy } from '../../src/capture/resolve.ts';
import { messageOf } from '../../src/errors.ts';
import { parsePod } from '../../src/pod/parse-pod.ts';
import type { Pod } from '../../src/pod/pod.ts';
import { buildRuleset } from '../../src/ruleset/build.ts';
import { planProbes } from '../../src/ruleset/probe-plan.ts';
import { type HostileInput, hostileInputs } from './hostile.ts';
import { strangerIn } from './vocabulary.ts';

export interface FuzzResult {
  readonly tried: number;
  readonly accepted: number;
  readonly refused: number;
  readonly slowestMs: number;
  /** At most the first ten. */
  readonly findings: readonly Finding[];
}

interface Finding {
  readonly what: 'crashed' | 'hung' | 'unparsed';
  readonly input: HostileInput;
  readonly detail: string;
}

/** Longer than the longest list takes on a slow machine. */
const TOO_LONG_MS = 1_000;
const FINDINGS_MAX = 10;

/** Hostile values, one a pod, all the way to what a backend would be handed. */
export function fuzz(options: {
  readonly values: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}): FuzzResult {
  const next = hostileInputs(options.seed);
  const findings: Finding[] = [];
  let accepted = 0;
  let slowestMs = 0;
  let tried = 0;
  for (; tried < options.values && findings.length < FINDINGS_MAX; tried += 1) {
    const input = next();
    const startedMs = performance.now();
    const verdict = tryOne(input);
    const tookMs = performance.now() - startedMs;
    slowestMs = Math.max(slowestMs, tookMs);
    if (verdict.accepted) accepted += 1;
    if (verdict.finding !== undefined) findings.push(verdict.finding);
    if (tookMs > TOO_LONG_MS) findings.push({ what: 'hung', input, detail: `${tookMs.toFixed(0)} ms` });
    if (tried % 1_000 === 0) options.onProgress?.(tried);
  }
  return { tried, accepted, refused: tried - accepted, slowestMs, findings };
}

function tryOne(input: HostileInput): { readonly accepted: boolean; readonly finding?: Finding } {
  try {
    const result = resolvePolicy(podOf(input), NO_DEFAULTS, { sidecarName: 'istio-proxy', nameservers: [input.value] });
    if (!result.ok) return { accepted: false };
    const ruleset = buildRuleset(result.policy);
    planProbes(result.policy);
    const stranger = strangerIn(renderNft(ruleset));
    // The iptables renderer checks what it writes by itself and throws; its words are another vocabulary.
    renderIptables(ruleset);
    if (stranger === undefined) return { accepted: true };
    return { accepted: true, finding: { what: 'unparsed', input, detail: stranger } };
  } catch (error: unknown) {
    return { accepted: false, finding: { what: 'crashed', input, detail: messageOf(error) } };
  }
}

function podOf({ place, key, value }: HostileInput): Pod {
  const argv = place === 'argument' ? ['istio-iptables', `--${key}`, value] : undefined;
  return parsePod({
    metadata: { name: 'a', annotations: place === 'annotation' ? { [key]: value } : {} },
    spec: {
      initContainers: argv === undefined ? [] : [{ name: 'gate', args: ['init', '--', ...argv] }],
      containers: [{ name: 'istio-proxy', env: place === 'variable' ? [{ name: key, value }] : [] }],
    },
  });
}
