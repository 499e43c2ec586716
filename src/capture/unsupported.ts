import { ARGUMENTS } from './istio-arguments.ts';
import { argument, type Candidate, environment, type Inputs } from './inputs.ts';
import { parseBoolean } from './words.ts';
import type { Problem } from './policy.ts';

/** Switches of Istio that change what is captured and that this version cannot carry out. Ignoring them would be a silent difference. */
export function unsupportedSettings(inputs: Inputs): readonly Problem[] {
  const switches = [
    argument(inputs, ARGUMENTS.redirectDns) ?? environment(inputs, 'ISTIO_META_DNS_CAPTURE'),
    argument(inputs, ARGUMENTS.dropInvalid) ?? environment(inputs, 'INVALID_DROP'),
  ];
  return [
    ...switches.flatMap((candidate) => mustBeFalse(candidate)),
    ...mustBe(environment(inputs, 'ISTIO_OUTBOUND_OWNER_GROUPS'), ['*'], '*'),
    ...mustBe(environment(inputs, 'ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE'), [], 'empty'),
  ];
}

function mustBeFalse(candidate: Candidate | undefined): readonly Problem[] {
  if (candidate === undefined) return [];
  const parsed = parseBoolean(candidate.raw);
  if (parsed.ok && !parsed.value) return [];
  return [problem(candidate, parsed.ok ? 'false; it is not supported by this version' : 'true or false')];
}

function mustBe(candidate: Candidate | undefined, values: readonly string[], shown: string): readonly Problem[] {
  if (candidate === undefined || (candidate.unknowable !== true && values.includes(candidate.raw))) return [];
  return [problem(candidate, `${shown}; owner groups are not supported by this version`)];
}

function problem({ kind, key, raw, unknowable }: Candidate, allowed: string): Problem {
  return { key, value: unknowable === true ? 'valueFrom' : raw, allowed, source: kind };
}

/** Arguments that may hold a setting nobody here knows. */
export function unknownArguments(inputs: Inputs): readonly Problem[] {
  return (inputs.istioArguments?.unknown ?? []).map(unknownArgument);
}

function unknownArgument(word: string): Problem {
  return {
    key: 'istio-iptables argument',
    value: word,
    allowed: 'a flag of istio-iptables that this version knows',
    source: 'argument',
  };
}
