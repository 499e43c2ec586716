import { accepted, type Parsed, parseList, refused, trimmed } from './parsed.ts';
import type { Selection } from './policy.ts';

const ALLOWED_PORT = 'a port from 1 to 65535 in plain decimal';
export const PORTS_MAX = 1_024;

/** One port: plain decimal, no sign, no leading zero. Port 0 is no port a packet can have. */
export function parsePort(raw: string): Parsed<number> {
  if (!/^[1-9][0-9]{0,4}$/.test(raw)) return refused(ALLOWED_PORT);
  const port = Number(raw);
  return port <= 65_535 ? accepted(port) : refused(ALLOWED_PORT);
}

/** A list of ports, ascending; blank is none. Ranges and `*` are refused. */
export function parsePorts(raw: string): Parsed<readonly number[]> {
  const parsed = parseList(raw, parsePort, { itemsMax: PORTS_MAX, keyOf: String });
  return parsed.ok ? accepted(parsed.value.toSorted((a, b) => a - b)) : parsed;
}

/** `*` for all, or a list as above. */
export function parsePortSelection(raw: string): Parsed<Selection<number>> {
  if (trimmed(raw) === '*') return accepted({ all: true });
  const parsed = parsePorts(raw);
  return parsed.ok ? accepted({ all: false, items: parsed.value }) : refused(`* or ${parsed.allowed}`);
}
