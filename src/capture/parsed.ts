/** A parser's answer: the value, or what would have been allowed. Parsers are total: they never throw, whatever the text holds. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly allowed: string };

export type Parser<T> = (raw: string) => Parsed<T>;

/** Longer settings are refused unread. Annotations together hold at most 256 KiB (Kubernetes' TotalAnnotationSizeLimitB). */
export const TEXT_CHARACTERS_MAX = 131_072;

export function accepted<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function refused(allowed: string): { readonly ok: false; readonly allowed: string } {
  return { ok: false, allowed };
}

/**
 * A comma-separated list: blanks around elements are trimmed, a blank text is the empty list, an empty element is refused, duplicates
 * are dropped, and there are at most `itemsMax` different ones.
 */
export function parseList<T>(
  raw: string,
  item: Parser<T>,
  limits: { readonly itemsMax: number; readonly keyOf: (value: T) => string },
): Parsed<readonly T[]> {
  if (raw.length > TEXT_CHARACTERS_MAX) return refused(`at most ${TEXT_CHARACTERS_MAX} characters`);
  if (trimmed(raw) === '') return accepted([]);
  const found = new Map<string, T>();
  for (const element of raw.split(',')) {
    const parsed = item(trimmed(element));
    if (!parsed.ok) return refused(`a comma-separated list, each ${parsed.allowed}`);
    found.set(limits.keyOf(parsed.value), parsed.value);
    if (found.size > limits.itemsMax) return refused(`at most ${limits.itemsMax} elements`);
  }
  return accepted([...found.values()]);
}

/**
 * Without the blanks around it: space, tab and line ends, which YAML leaves behind. Not what else Unicode counts as space: text that only
 * looks empty must not become the empty list. A loop, because a regular expression is quadratic in long runs of blanks.
 */
export function trimmed(raw: string): string {
  let from = 0;
  let to = raw.length;
  while (from < to && BLANKS.includes(raw.charAt(from))) from += 1;
  while (to > from && BLANKS.includes(raw.charAt(to - 1))) to -= 1;
  return raw.slice(from, to);
}

const BLANKS = ' \t\r\n';

/** The value, or an Error that says what is allowed: for flags, where a throw names the flag. */
export function orThrow<T>(parser: Parser<T>): (raw: string) => T {
  return (raw) => {
    const parsed = parser(raw);
    if (!parsed.ok) throw new Error(`allowed is ${parsed.allowed}`);
    return parsed.value;
  };
}
