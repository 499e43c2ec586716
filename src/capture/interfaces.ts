import { accepted, type Parsed, parseList, refused } from './parsed.ts';

export const INTERFACES_MAX = 64;

/** Names of network interfaces, as Istio allows them: a letter first, then letters, digits, `_`, `.`, `-`; IFNAMSIZ leaves 15 characters. */
export function parseInterfaces(raw: string): Parsed<readonly string[]> {
  return parseList(raw, parseInterface, { itemsMax: INTERFACES_MAX, keyOf: (name) => name });
}

function parseInterface(raw: string): Parsed<string> {
  if (/^[a-zA-Z][a-zA-Z0-9_.-]{0,14}$/.test(raw)) return accepted(raw);
  return refused('an interface name of at most 15 letters, digits, "_", "." or "-", a letter first');
}
