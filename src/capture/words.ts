import { accepted, type Parsed, refused } from './parsed.ts';
import type { InterceptionMode } from './policy.ts';

/** Interception modes, spelled as Istio does. */
export function parseMode(raw: string): Parsed<InterceptionMode> {
  if (raw === 'REDIRECT' || raw === 'TPROXY' || raw === 'NONE') return accepted(raw);
  return refused('REDIRECT, TPROXY or NONE');
}

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** As Go's strconv.ParseBool reads it, which is what Istio uses. */
export function parseBoolean(raw: string): Parsed<boolean> {
  if (TRUE.has(raw)) return accepted(true);
  if (FALSE.has(raw)) return accepted(false);
  return refused('true or false');
}
