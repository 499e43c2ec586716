import { ControllerError, messageOf } from '../errors.ts';

/** One flag: also an environment variable. The flag beats the variable, the variable beats the default. */
export interface Flag<T> {
  /** Without the dashes: `envoy-port`. */
  readonly name: string;
  /** `ENVOY_PORT`: the flag's name upper-cased with `_`, as in the original. */
  readonly env: string;
  /** What stands for the value in help and docs: `PORT`, `SECONDS`. */
  readonly placeholder: string;
  readonly brief: string;
  /** Throws or returns; the caller adds which flag or variable it was. */
  readonly parse: (raw: string) => T;
  /** The raw default, parsed like any value; `undefined`: required. */
  readonly fallback: string | undefined;
}

type Table = Readonly<Record<string, Flag<unknown>>>;

/** The values of a table of flags, by the table's keys. */
export type Values<F extends Table> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

/** Builds a flag; the environment variable follows from the name. */
export function flag<T>(spec: Omit<Flag<T>, 'env'>): Flag<T> {
  return { ...spec, env: spec.name.toUpperCase().replaceAll('-', '_') };
}

/** The key under which the command line hands over a flag: its name in camel case. */
export function flagKey(spec: { readonly name: string }): string {
  return spec.name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Resolves every flag of the table from what the command line gave (raw strings by `flagKey`) and the environment.
 * Throws `Usage` naming the flag or variable, the value and what is allowed; an empty variable counts as unset.
 */
export function resolveFlags<F extends Table>(
  table: F,
  given: Readonly<Record<string, string | undefined>>,
  env: Readonly<Record<string, string | undefined>>,
): Values<F> {
  const values: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries(table)) values[key] = resolveOne(spec, given[flagKey(spec)], env[spec.env]);
  return Object.freeze(values) as Values<F>;
}

function resolveOne(spec: Flag<unknown>, given: string | undefined, fromEnv: string | undefined): unknown {
  if (given !== undefined) return parse(spec, given, `--${spec.name}`);
  if (fromEnv !== undefined && fromEnv !== '') return parse(spec, fromEnv, `environment variable ${spec.env}`);
  if (spec.fallback !== undefined) return parse(spec, spec.fallback, `default of --${spec.name}`);
  throw new ControllerError('Usage', `--${spec.name} ${spec.placeholder} is required`, {
    hint: `Give --${spec.name} or set ${spec.env}.`,
  });
}

function parse(spec: Flag<unknown>, raw: string, where: string): unknown {
  try {
    return spec.parse(raw);
  } catch (error: unknown) {
    throw new ControllerError('Usage', `${where}: ${JSON.stringify(raw)} is not allowed: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
