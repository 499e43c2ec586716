import type { Ratio, Result, Target } from '../result.ts';
import { type Interval, ratioOfMedians, spread } from '../spread.ts';
import { formatNumber } from './format.ts';
import { markdownTable } from './markdown.ts';

/** One row for each target of all results: what was to be reached, what was seen. Empty without targets. */
export function renderTargets(results: readonly Result[]): readonly string[] {
  const rows = results.flatMap((result) =>
    (result.targets ?? []).map((target) => {
      const { seen, unit } = seenOf(result, target);
      const [sign, limit, met] =
        'atMost' in target
          ? ['≤', target.atMost, seen <= target.atMost]
          : ['≥', target.atLeast, seen >= target.atLeast];
      const quantity = (value: number): string => `${formatNumber(value)}${unit}`;
      return [
        `(${result.question}) ${target.what}`,
        `${sign} ${quantity(limit)}`,
        quantity(seen),
        met ? 'yes' : '**no**',
      ];
    }),
  );
  return rows.length === 0 ? [] : markdownTable(['target', 'limit', 'seen', 'met'], rows);
}

export function ratioIn(result: Result, { of, over }: Ratio): Interval & { readonly ratio: number } {
  return ratioOfMedians(valuesOf(result, of), valuesOf(result, over));
}

function seenOf(result: Result, target: Target): { readonly seen: number; readonly unit: string } {
  if ('ratio' in target) {
    const ratio = result.ratios?.find(({ label }) => label === target.ratio);
    if (ratio === undefined) throw new Error(`no ratio of the label ${target.ratio}`);
    return { seen: ratioIn(result, ratio).ratio, unit: '×' };
  }
  if ('fact' in target) {
    const fact = result.facts[target.fact];
    if (typeof fact !== 'number') throw new Error(`no number for the fact ${target.fact}`);
    return { seen: fact, unit: '' };
  }
  return { seen: spread(valuesOf(result, target.series))[target.at], unit: ` ${result.unit}` };
}

function valuesOf({ series }: Result, name: string): readonly number[] {
  const found = series.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no series of the name ${name}`);
  return found.values;
}
