import { accepted, type Parsed, refused } from './parsed.ts';
import type { InterceptionMode } from './policy.ts';

/** Interception modes this version can carry out. */
export function parseMode(raw: string): Parsed<InterceptionMode> {
  if (raw === 'REDIRECT' || raw === 'NONE') return accepted(raw);
  return refused(raw === 'TPROXY' ? 'REDIRECT or NONE; TPROXY is not supported by this version' : 'REDIRECT or NONE');
}

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** As Go's strconv.ParseBool reads it, which is what Istio uses. */
export function parseBoolean(raw: string): Parsed<boolean> {
  if (TRUE.has(raw)) return accepted(true);
  if (FALSE.has(raw)) return accepted(false);
  return refused('true or false');
}
