import type { Container, EnvironmentVariable, Pod } from '../pod/pod.ts';
import { type CarriedArguments, carriedArguments } from './carried-arguments.ts';
import { argumentCarrier, type IstioArguments, readIstioArguments } from './istio-arguments.ts';
import { SKIP_RULE_APPLY } from './istio-flags.ts';
import { type Parser, TEXT_CHARACTERS_MAX } from './parsed.ts';
import type { Problem, Source, Sourced } from './policy.ts';
import { type SettingValue, settingText } from './setting-text.ts';
import { variableOf } from './variables.ts';
import { parseBoolean } from './words.ts';

/** A place a setting may come from, and what it says there. */
export interface Candidate {
  readonly kind: Source['kind'];
  readonly key: string;
  readonly raw: string;
  /** The value is not in the pod (`valueFrom`): it cannot be known, and must not be guessed. */
  readonly unknowable?: boolean;
}

/** Everything of a pod that settings are read from. */
export interface Inputs {
  readonly pod: Pod;
  /** Undefined: Istio resolved nothing for this pod. */
  readonly istioArguments: IstioArguments | undefined;
  readonly carrierEnv: readonly EnvironmentVariable[];
  readonly proxy: Container | undefined;
  /** What Istio resolved stands in an annotation that cannot be read. */
  readonly unreadable: Problem | undefined;
  /** Rules were to be written by Istio's CNI plugin: nobody carries arguments, or only the container that checks its work. */
  readonly injectedForCni: boolean;
}

export function inputsOf(pod: Pod, sidecarName: string): Inputs {
  const { resolved, unreadable } = resolvedByIstio(pod);
  const istioArguments = resolved === undefined ? undefined : readIstioArguments(resolved.argv);
  const skips = parseBoolean(istioArguments?.values.get(SKIP_RULE_APPLY) ?? 'false');
  return {
    pod,
    istioArguments,
    unreadable,
    injectedForCni: istioArguments === undefined || (skips.ok && skips.value),
    carrierEnv: resolved?.env ?? [],
    proxy: [...pod.initContainers, ...pod.containers].find(({ name }) => name === sidecarName),
  };
}

/** A container that carries the arguments is of this pod for sure; only a pod without one goes by its annotation. */
function resolvedByIstio(pod: Pod): {
  readonly resolved: CarriedArguments | undefined;
  readonly unreadable: Problem | undefined;
} {
  const carrier = argumentCarrier(pod);
  const carried = carrier === undefined ? carriedArguments(pod) : { argv: carrier.argv, env: carrier.container.env };
  return carried === undefined || 'argv' in carried
    ? { resolved: carried, unreadable: undefined }
    : { resolved: undefined, unreadable: carried };
}

/** An annotation of the pod; `kind` tells our own overrides from Istio's. */
export function annotation(
  inputs: Inputs,
  key: string,
  kind: 'annotation' | 'override' = 'annotation',
): Candidate | undefined {
  const raw = inputs.pod.annotations[key];
  return raw === undefined ? undefined : { kind, key, raw };
}

/** A flag of `istio-iptables`, or the environment variable it has there. */
export function argument(inputs: Inputs, name: string): Candidate | undefined {
  return flagValue(inputs, name) ?? carrierVariable(inputs, name);
}

/** A switch that Istio's tool also reads from a variable with a name of its own, which is stronger than that of the argument. */
export function switchOf(inputs: Inputs, name: string, variable: string): readonly (Candidate | undefined)[] {
  return [
    flagValue(inputs, name),
    fromEnv(inputs.carrierEnv, variable),
    carrierVariable(inputs, name),
    fromEnv(inputs.proxy?.env ?? [], variable),
  ];
}

/** For flags that Istio's tool gives a default of its own when they are empty: mode, uids and gids. */
export function unlessEmpty(candidate: Candidate | undefined): Candidate | undefined {
  return candidate?.raw === '' && candidate.unknowable !== true ? undefined : candidate;
}

/** A variable of the container that carries the arguments, else of the proxy. */
export function environment(inputs: Inputs, name: string): Candidate | undefined {
  return fromEnv(inputs.carrierEnv, name) ?? fromEnv(inputs.proxy?.env ?? [], name);
}

/** The first place that says anything decides. What it says must parse: a weaker place never stands in for a stronger one that is wrong. */
export function firstOf<T>(
  candidates: readonly (Candidate | undefined)[],
  parse: Parser<T>,
  fallback: Sourced<T>,
  problems: Problem[],
): Sourced<T> {
  const candidate = candidates.find((one) => one !== undefined);
  if (candidate === undefined) return fallback;
  const { kind, key, raw } = candidate;
  if (candidate.unknowable === true) {
    problems.push({ key, value: 'valueFrom', allowed: 'a literal value', source: kind });
    return fallback;
  }
  const parsed = parse(raw);
  if (parsed.ok) return { value: parsed.value, source: { kind, key, raw } };
  problems.push({ key, value: raw.slice(0, TEXT_CHARACTERS_MAX), allowed: parsed.allowed, source: kind });
  return fallback;
}

/** The operator's default, or Istio's. */
export function fallbackOf<T extends SettingValue>(
  flag: { readonly name: string; readonly value: T | undefined },
  istioDefault: T,
): Sourced<T> {
  if (flag.value === undefined) return { value: istioDefault, source: { kind: 'default', key: '', raw: '' } };
  return { value: flag.value, source: { kind: 'flag', key: `--${flag.name}`, raw: settingText(flag.value) } };
}

/** Istio's own default. */
export function istioDefault<T>(value: T): Sourced<T> {
  return { value, source: { kind: 'default', key: '', raw: '' } };
}

function flagValue(inputs: Inputs, name: string): Candidate | undefined {
  const raw = inputs.istioArguments?.values.get(name);
  return raw === undefined ? undefined : { kind: 'argument', key: `--${name}`, raw };
}

function carrierVariable(inputs: Inputs, name: string): Candidate | undefined {
  const variable = variableOf(name);
  return variable === undefined ? undefined : fromEnv(inputs.carrierEnv, variable);
}

function fromEnv(env: readonly EnvironmentVariable[], name: string): Candidate | undefined {
  // As in a container, the last of several variables of one name counts.
  const variable = env.findLast((one) => one.name === name);
  // An empty variable says nothing. (Istio's tool takes some for an empty list, which captures nothing: too easily written by accident.)
  if (variable === undefined || variable.value === '') return undefined;
  return { kind: 'environment', key: name, raw: variable.value ?? '', unknowable: variable.value === undefined };
}
