import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Machine } from './machine.ts';

export const QUESTION_IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const;
export type QuestionId = (typeof QUESTION_IDS)[number];

/** One measurement, as it is kept: what was seen, not what was made of it. The page is made of these, and can be made anew. */
export interface Result {
  readonly question: QuestionId;
  /** Names its files: `bench/results/<question>-<slug>.json` and `.svg`. Lower case, digits, hyphens. */
  readonly slug: string;
  /** One line, without the unit. */
  readonly title: string;
  /** Of every value in `series`: ms, 1/s, MiB, … */
  readonly unit: string;
  readonly startedAt: string;
  readonly machine: Machine;
  readonly series: readonly Series[];
  /** What belongs to the numbers: rounds, sizes, versions, what was left out and why. */
  readonly facts: Readonly<Record<string, Fact>>;
  /** Of two medians, `of` divided by `over`; the page gives each with its interval. */
  readonly ratios?: readonly Ratio[];
  /** One strip of all series on a logarithmic axis unless told otherwise. */
  readonly plots?: readonly Plot[];
  /** What we set out to reach; the page says whether it was. Nothing fails if not. */
  readonly targets?: readonly Target[];
  /** Counts, which have no spread. */
  readonly tables?: readonly Table[];
}

export type Fact = string | number | boolean;

export interface Series {
  readonly name: string;
  /** Raw, in the order they were measured. */
  readonly values: readonly number[];
  readonly note?: string;
  /** Where this series stands on the x axis of a `lines` plot, and to which line it belongs. */
  readonly at?: { readonly line: string; readonly x: number };
}

export interface Ratio {
  readonly label: string;
  /** Names of series. */
  readonly of: string;
  readonly over: string;
}

export type Target = { readonly what: string } & (
  | { readonly series: string; readonly at: 'p50' | 'p90' | 'p99' | 'max' }
  /** By the ratio's label. */
  | { readonly ratio: string }
  /** By the name of a fact that is a number. */
  | { readonly fact: string }
) &
  ({ readonly atMost: number } | { readonly atLeast: number });

export interface Plot {
  readonly kind: 'strip' | 'ecdf' | 'lines';
  readonly axis: 'log' | 'linear';
  /** Names of series; all by default. */
  readonly only?: readonly string[];
  /** Of the x axis of `lines`. */
  readonly xLabel?: string;
  /** Of `lines`: true to scale, from 0; or, as by default, one place beside the other, whatever lies between them. */
  readonly xAxis?: 'linear' | 'places';
  /** What distinguishes this plot from the result's others; becomes a part of its file's name. */
  readonly slug?: string;
  readonly caption?: string;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export const RESULTS_FOLDER = join(resolve(import.meta.dirname), 'results');

/** Writes what a question measured; what an earlier run of it left goes. */
export function saveResults(question: QuestionId, results: readonly Result[], folder = RESULTS_FOLDER): void {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (name.startsWith(`${question}-`) && /\.(json|svg)$/.test(name)) rmSync(join(folder, name));
  }
  for (const result of results) {
    if (!/^[a-z0-9-]+$/.test(result.slug)) throw new Error(`no name for a file: ${result.slug}`);
    writeFileSync(join(folder, `${question}-${result.slug}.json`), `${JSON.stringify(result, rounded, 1)}\n`);
  }
}

/** In the order of their names, so that the page does not depend on who ran last. */
export function loadResults(folder = RESULTS_FOLDER): readonly Result[] {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
  return names.toSorted().map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Result);
}

/** No clock here resolves more than six digits of what is measured. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
}
