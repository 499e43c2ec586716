import { buildCommand, type FlagParametersForType } from '@stricli/core';
import { flagKey } from '../config/flag.ts';
import { guarded, type VerbContext } from './command.ts';
import type { Given } from './given.ts';
import { type VerbFlag } from './verb-flags.ts';

/** A flag of a verb that reads a cluster. */
export interface ClusterFlag extends VerbFlag {
  /** Its one letter, as kubectl has it; it may mean something else for verbs on manifests. */
  readonly letter?: string;
  /** No value: given or not. */
  readonly boolean?: true;
  readonly choices?: readonly string[];
}

/** As a `Verb`, with the words that belong to no flag. Flags without a value are `"true"`. */
export type ClusterVerb = (given: Given, ...words: readonly string[]) => Promise<number>;

interface Parameters {
  readonly flags: Readonly<Record<string, ClusterFlag>>;
  /** What the words that belong to no flag are; undefined: there are none. */
  readonly words?: { readonly placeholder: string; readonly brief: string };
}

type Raw = Readonly<Record<string, string | boolean | undefined>>;

/** A verb of the command line whose flags and arguments are those that users of kubectl expect. */
export function clusterCommand(brief: string, { flags, words }: Parameters, load: () => Promise<ClusterVerb>) {
  const specs = Object.values(flags);
  const aliases = Object.fromEntries(
    specs.flatMap((spec) => (spec.letter === undefined ? [] : [[spec.letter, flagKey(spec)]])),
  );
  return buildCommand<Raw, string[], VerbContext>({
    loader: async () => {
      const verb = guarded(await load());
      return function act(this: VerbContext, raw: Raw, ...given: string[]): Promise<void> {
        return verb.call(this, texts(raw), ...given);
      };
    },
    parameters: {
      flags: parametersOf(specs),
      aliases,
      ...(words === undefined
        ? {}
        : { positional: { kind: 'array' as const, parameter: { parse: String, ...words }, maximum: WORDS_MAX } }),
    },
    docs: { brief },
  });
}

const WORDS_MAX = 1_000;

function texts(raw: Raw): Given {
  return Object.fromEntries(
    Object.entries(raw).flatMap(([key, value]) =>
      value === undefined || value === false ? [] : [[key, value === true ? 'true' : value]],
    ),
  );
}

/** The library's types have tables of flags with a value or without, but none of both whose names it does not know: it takes either. */
function parametersOf(specs: readonly ClusterFlag[]) {
  const parameters = Object.fromEntries(specs.map((spec) => [flagKey(spec), parameterOf(spec)]));
  return parameters as FlagParametersForType<Raw, VerbContext>;
}

function parameterOf(spec: ClusterFlag) {
  const { brief, choices = [] } = spec;
  if (spec.boolean === true) return { kind: 'boolean' as const, brief, optional: true as const, withNegated: false };
  return {
    kind: 'parsed' as const,
    parse: String,
    brief: spec.fallback === undefined ? brief : `${brief} (default ${JSON.stringify(spec.fallback)})`,
    placeholder: spec.placeholder,
    optional: true as const,
    proposeCompletions: (partial: string) => choices.filter((choice) => choice.startsWith(partial)),
  };
}
