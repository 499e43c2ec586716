import { flagKey } from '../config/flag.ts';
import { ControllerError } from '../errors.ts';

/** Raw flag strings by `flagKey`; the tables of config/ parse them. */
export type Given = Readonly<Record<string, string | undefined>>;

/** A verb: raw flags in, exit code out; what it throws is printed by the caller. */
export type Verb = (given: Given) => Promise<number>;

/** A value that a flag does not take, and what it does. */
export function notAllowed(flag: string, value: string | undefined, allowed: string): ControllerError {
  return new ControllerError('Usage', `${flag}: ${JSON.stringify(value)} is not allowed: ${allowed}`);
}

/** The value of a flag a verb cannot do without. */
export function required(given: Given, name: string): string {
  const value = given[flagKey({ name })];
  if (value !== undefined) return value;
  throw new ControllerError('Usage', `--${name} is required`, { hint: 'See --help.' });
}
