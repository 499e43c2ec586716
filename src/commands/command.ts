import { buildCommand, type CommandContext } from '@stricli/core';
import { flagKey } from '../config/flag.ts';
import { isControllerError, messageOf } from '../errors.ts';
import type { Given, Verb } from './given.ts';
import { ALIASES, CHOICES, type VerbFlag } from './verb-flags.ts';

/** Exit codes are a contract: 0 done, 1 usage, bad input or drift, 2 could not do it, 124 timeout. */
export const EXIT_USAGE = 1;
export const EXIT_FAILED = 2;

export interface VerbContext extends CommandContext {
  readonly process: {
    readonly stdout: NodeJS.WriteStream;
    readonly stderr: NodeJS.WriteStream;
    readonly env: NodeJS.ProcessEnv;
    exitCode: number | string | null;
  };
}

/** Every flag reaches the verb as a raw string; the tables of config/ resolve flag, variable and default. */
export function command(brief: string, flags: Readonly<Record<string, VerbFlag>>, load: () => Promise<Verb>) {
  const names = new Set(Object.keys(flags));
  const aliases = Object.fromEntries(Object.entries(ALIASES).filter(([, key]) => names.has(key)));
  return buildCommand<Given, [], VerbContext>({
    loader: async () => guarded(await load()),
    parameters: {
      flags: Object.fromEntries(Object.values(flags).map((spec) => [flagKey(spec), parameterOf(spec)])),
      aliases,
    },
    docs: { brief },
  });
}

/** What a verb throws is printed once, in one form: code, message, way out. */
export function guarded<A extends readonly unknown[]>(verb: (given: Given, ...positional: A) => Promise<number>) {
  return async function act(this: VerbContext, given: Given, ...positional: A): Promise<void> {
    try {
      this.process.exitCode = await verb(given, ...positional);
    } catch (error: unknown) {
      this.process.stderr.write(`error: ${describe(error)}\n`);
      const usage = isControllerError(error, 'Usage', 'FileUnreadable', 'ManifestInvalid');
      this.process.exitCode = usage ? EXIT_USAGE : EXIT_FAILED;
    }
  };
}

function parameterOf(spec: VerbFlag) {
  const choices = spec.choices ?? CHOICES[flagKey(spec)];
  return {
    kind: 'parsed' as const,
    parse: String,
    brief: briefOf(spec),
    placeholder: spec.placeholder,
    optional: true as const,
    proposeCompletions: (partial: string) => (choices ?? []).filter((choice) => choice.startsWith(partial)),
  };
}

function describe(error: unknown): string {
  if (!isControllerError(error)) return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  const hint = error.hint === undefined ? '' : `\n  ${error.hint}`;
  return `${error.code}: ${error.message}${hint}`;
}

function briefOf(spec: VerbFlag): string {
  if (spec.env === undefined) return spec.brief;
  const fallback = spec.fallback === undefined ? 'required' : `default ${JSON.stringify(spec.fallback)}`;
  return `${spec.brief} (${fallback}; ${spec.env})`;
}
