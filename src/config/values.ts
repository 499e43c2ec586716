/** Parsers of flag values. They throw a plain Error that says what is allowed; flag.ts adds which flag it was. */

/** A whole number in decimal without sign, leading zeros or exponent. */
export function wholeNumber(bounds: { readonly min: number; readonly max: number }): (raw: string) => number {
  return (raw) => {
    const value = /^(0|[1-9][0-9]{0,9})$/.test(raw) ? Number(raw) : Number.NaN;
    if (!(value >= bounds.min && value <= bounds.max)) {
      throw new Error(`a whole number from ${bounds.min} to ${bounds.max}`);
    }
    return value;
  };
}

/** One of a fixed list of words. */
export function oneOf<T extends string>(words: readonly T[]): (raw: string) => T {
  return (raw) => {
    const found = words.find((word) => word === raw);
    if (found === undefined) throw new Error(`one of ${words.join(', ')}`);
    return found;
  };
}

/** `true` or `false`. */
export function trueOrFalse(raw: string): boolean {
  if (raw === 'true') return true;
  if (raw === 'false') return false;
  throw new Error('true or false');
}

/** A DNS-1123 label or subdomain: names of nodes, namespaces, containers. */
export function kubernetesName(raw: string): string {
  if (raw.length > 253 || !/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(raw)) {
    throw new Error('a Kubernetes name: lower-case letters, digits, "-" and "."');
  }
  return raw;
}

/** Comma-separated Kubernetes names; empty means none. */
export function kubernetesNames(raw: string): readonly string[] {
  if (raw.trim() === '') return [];
  return raw.split(',').map((name) => kubernetesName(name.trim()));
}

/** An absolute path without `..`. */
export function absolutePath(raw: string): string {
  if (raw === '') throw new Error('an absolute path without ".."');
  return absolutePathOrEmpty(raw);
}

/** An absolute path without `..`, or empty. */
export function absolutePathOrEmpty(raw: string): string {
  if (raw === '') return raw;
  if (!raw.startsWith('/') || raw.split('/').includes('..') || raw.length > 4096) {
    throw new Error('an absolute path without ".."');
  }
  return raw;
}
