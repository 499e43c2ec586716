import type { ClusterFacts, Fact } from './facts.ts';

export const GROUPS = ['Kubernetes', 'Nodes', 'Istio', 'What is there already', 'Namespaces'] as const;

/** `skipped`: it could not be told, and the finding says why. */
export type Verdict = 'ok' | 'warn' | 'fail' | 'skipped';

export interface Outcome {
  readonly verdict: Verdict;
  /** What was found, one line. */
  readonly finding: string;
  /** What to set or do, where there is something; one line. */
  readonly wayOut?: string;
}

/** One thing an install depends on. Pure: facts in, outcome out. `docs/preflight.md` is made from these. */
export interface Check {
  /** Stable: scripts may depend on it. */
  readonly id: string;
  readonly group: (typeof GROUPS)[number];
  /** What it looks at and why that matters. */
  readonly means: string;
  /** The way out, for the documents. */
  readonly wayOut: string;
  readonly run: (facts: ClusterFacts, options: PreflightOptions) => Outcome;
}

/** What the install will be. */
export interface PreflightOptions {
  readonly namespace: string;
  readonly istioNamespace: string;
  /** Of this program, which is what will be installed. */
  readonly version: string;
}

type ValuesOf<F extends readonly Fact<unknown>[]> = { readonly [K in keyof F]: F[K] extends Fact<infer T> ? T : never };

/** Judges facts that are all known; else the check is skipped with the reason of the first that is not. */
export function given<const F extends readonly Fact<unknown>[]>(
  facts: F,
  judge: (...values: ValuesOf<F>) => Outcome,
): Outcome {
  const values: unknown[] = [];
  for (const fact of facts) {
    if (!fact.known) return { verdict: 'skipped', finding: fact.why };
    values.push(fact.value);
  }
  return judge(...(values as unknown as ValuesOf<F>));
}

export function ok(finding: string): Outcome {
  return { verdict: 'ok', finding };
}

export function warn(finding: string, wayOut: string): Outcome {
  return { verdict: 'warn', finding, wayOut };
}

export function fail(finding: string, wayOut: string): Outcome {
  return { verdict: 'fail', finding, wayOut };
}

/** Names in a line: the first few, and how many more. */
export function listed(names: readonly string[], max = 5): string {
  const more = names.length > max ? ` and ${names.length - max} more` : '';
  return names.slice(0, max).join(', ') + more;
}

/** `1 node`, `2 nodes`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The leading numbers of a version: `v1.36.3-gke.1` → 1, 36. Undefined where there are none. */
export function majorMinor(version: string): readonly [number, number] | undefined {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  return major === undefined || minor === undefined ? undefined : [Number(major), Number(minor)];
}

export function isBelow(version: readonly [number, number], [major, minor]: readonly [number, number]): boolean {
  return version[0] < major || (version[0] === major && version[1] < minor);
}
