import { describe, expect, it } from 'vitest';
import { loadResults, type Result } from '../result.ts';
import { linearAxis, logAxis } from './axis.ts';
import { ecdfPlot, linesPlot } from './curves.ts';
import { formatNumber } from './format.ts';
import { plotsOf, renderPage } from './page.ts';
import { stripPlot } from './strip.ts';
import { putSummary, renderSummary } from './summary.ts';

const RESULT: Result = {
  question: 'a',
  slug: 'rules',
  title: 'Rules | into a netns',
  unit: 'ms',
  startedAt: '2030-01-02T03:04:05.000Z',
  machine: {
    kernel: '6.12.0',
    architecture: 'x64',
    cpu: 'Some CPU',
    cores: 2,
    memoryGiB: 8,
    virtual: true,
    loadAverage: 0.5,
    versions: { node: '24.0.0' },
  },
  series: [
    { name: 'ours', values: Array.from({ length: 100 }, (_, index) => 1 + index / 1_000) },
    { name: 'theirs <&>', values: [40, 41, 42, 43, 44], note: 'another way' },
  ],
  ratios: [{ label: 'theirs over ours', of: 'theirs <&>', over: 'ours' }],
  targets: [
    { what: 'fast', series: 'ours', at: 'p50', atMost: 1 },
    { what: 'faster than theirs', ratio: 'theirs over ours', atLeast: 30 },
    { what: 'nothing lost', fact: 'lost', atMost: 0 },
  ],
  tables: [{ title: 'Counts', columns: ['', 'seen'], rows: [['ours', 12_345]] }],
  facts: { lost: 3, rounds: 5 },
};
const PLOT = { title: 'Rules', unit: 'ms', axis: 'log', series: RESULT.series } as const;
const page = (result: Result): readonly string[] => renderPage([result], new Map([['a', 'How long?']])).split('\n');

describe('the page', () => {
  it('gives each series a row, and p99 only from 100 values on', () => {
    const rows = page(RESULT).filter((line) => line.startsWith('| ours') || line.startsWith('| theirs'));

    expect(rows.slice(0, 2)).toEqual([
      '| ours | 100 | 1 | 1.05 | [1.04, 1.06] | 1.09 | 1.10 | 1.10 | 0.0500 |  |',
      '| theirs <&> | 5 | 40 | 42 | [40, 44] | 44 | – | 44 | 2 | another way |',
    ]);
  });

  it('says of each target what was seen and whether it was met', () => {
    const rows = page(RESULT).filter((line) => line.startsWith('| (a)'));

    expect(rows).toEqual([
      '| (a) fast | ≤ 1 ms | 1.05 ms | **no** |',
      '| (a) faster than theirs | ≥ 30× | 40.0× | yes |',
      '| (a) nothing lost | ≤ 0 | 3 | **no** |',
    ]);
  });

  it('gives ratios with their interval, and facts', () => {
    const lines = page(RESULT);

    expect(lines.find((line) => line.startsWith('- theirs over ours'))).toMatch(
      /^- theirs over ours: \*\*40\.0\*\* \[3\d\.\d, 4\d\.\d\]$/,
    );
    expect(lines).toContain('- rounds: 5');
    expect(lines).toContain('| ours | 12,345 |');
  });

  it('names question, machine and day, and escapes what would break a table', () => {
    const lines = page(RESULT);

    expect(lines).toContain('## (a) How long?');
    expect(lines).toContain(
      '2030-01-02, 2 cores of Some CPU (virtual machine), 8 GiB, Linux 6.12.0; node 24.0.0; load average before it began: 0.500.',
    );
    expect(lines).toContain('![Rules \\| into a netns, ms](results/a-rules.svg)');
  });

  it('refuses a ratio or a target of a series that is not there', () => {
    expect(() => page({ ...RESULT, ratios: [{ label: 'x', of: 'nobody', over: 'ours' }] })).toThrow('nobody');
    expect(() => page({ ...RESULT, targets: [{ what: 'x', ratio: 'nothing', atMost: 1 }] })).toThrow('nothing');
    expect(() => page({ ...RESULT, targets: [{ what: 'x', series: 'none', at: 'p50', atMost: 1 }] })).toThrow('none');
    expect(() => page({ ...RESULT, targets: [{ what: 'x', fact: 'missing', atMost: 1 }] })).toThrow('missing');
  });

  it('shows no plot of nothing', () => {
    const empty = { ...RESULT, series: [{ name: 'ours', values: [] }], ratios: [], targets: [] };

    expect(plotsOf(empty)).toEqual([]);
    expect(page(empty).filter((line) => line.startsWith('!'))).toEqual([]);
  });
});

describe('what is kept', () => {
  /** A picture is 900 px wide and does not wrap its title. */
  const TITLE_CHARACTERS_MAX = 95;

  it.each(loadResults().map(({ question, slug, title }) => [`${question}-${slug}`, title]))(
    'has a title that fits into its picture: %s',
    (_, title) => {
      expect(title?.length).toBeLessThanOrEqual(TITLE_CHARACTERS_MAX);
    },
  );
});

describe('the summary in a document', () => {
  const document = 'Before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nAfter 12 ms\n';

  it('takes the place of the old one, and of nothing else', () => {
    expect(putSummary(document, ['new'])).toBe(document.replace('old', 'new'));
  });

  it('stays the same when it is put again', () => {
    const once = putSummary(document, renderSummary([RESULT]));

    expect(putSummary(once, renderSummary([RESULT]))).toBe(once);
    expect(once).toContain('| (a) fast | ≤ 1 ms |');
    expect(once).toContain('- theirs over ours: **40.0**');
  });

  it('needs its place', () => {
    expect(() => putSummary('no marks', [])).toThrow('no place for a summary');
  });
});

describe('numbers', () => {
  it.each([
    [0.384_9, '0.385'],
    [1.39, '1.39'],
    [45.46, '45.5'],
    [332.4, '332'],
    [12_345.6, '12,346'],
    [1_234_567, '1,234,567'],
    [0.000_123_4, '0.000123'],
    [0, '0'],
    [Number.NaN, '–'],
    [-1_234.5, '-1,235'],
    [999, '999'],
  ])('%s is written %s', (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });
});

describe('axes', () => {
  const px = { fromPx: 100, toPx: 500, labelPx: () => 12 };

  it('a logarithmic one holds all values, and decades are equally wide', () => {
    const { at, ticks } = logAxis({ min: 0.3, max: 450, ...px });

    expect(ticks).toEqual([0.3, 1, 3, 10, 30, 100, 300]);
    expect(at(0.3)).toBeGreaterThanOrEqual(100);
    expect(at(450)).toBeLessThanOrEqual(500);
    expect(at(100) - at(10)).toBeCloseTo(at(10) - at(1), 6);
  });

  it('a logarithmic one puts what has no logarithm to its beginning', () => {
    expect(logAxis({ min: 0, max: 10, ...px }).at(0)).toBe(100);
  });

  it('a logarithmic one of a single value has a width', () => {
    const { at, ticks } = logAxis({ min: 5, max: 5, ...px });

    expect(Number.isFinite(at(5))).toBe(true);
    expect(ticks.length).toBeGreaterThan(0);
  });

  it.each([
    ['logarithmic', logAxis],
    ['linear', linearAxis],
  ])('a %s one has no more labels than there is room for', (_, axisOf) => {
    const labelPx = (value: number): number => String(value).length * 10;
    const { at, ticks } = axisOf({ min: 600, max: 90_000, ...px, labelPx });
    const gaps = ticks.slice(1).map((tick, index) => {
      const before = ticks[index] ?? Number.NaN;
      return at(tick) - at(before) - (labelPx(tick) + labelPx(before)) / 2;
    });

    expect(ticks.length).toBeGreaterThan(1);
    expect(Math.min(...gaps)).toBeGreaterThan(0);
  });

  it('a linear one begins at 0', () => {
    const { at, ticks } = linearAxis({ max: 7, ...px });

    expect(ticks).toEqual([0, 2, 4, 6, 8]);
    expect([at(0), at(8)]).toEqual([100, 500]);
  });
});

describe('plots', () => {
  const plots = {
    strip: stripPlot(PLOT),
    ecdf: ecdfPlot({ ...PLOT, axis: 'linear' }),
    lines: linesPlot({
      ...PLOT,
      xLabel: 'ranges',
      xAxis: 'places',
      series: [0, 100].map((x) => ({ name: `ours ${x}`, values: [1 + x, 2 + x], at: { line: 'ours', x } })),
    }),
  };

  it.each(Object.entries(plots))(
    '%s has a title for those who do not see it, a unit, and no number that is none',
    (_, text) => {
      expect(text).toMatch(/^<svg [^>]*role="img">\n<title>Rules/);
      expect(text).toContain('ms');
      expect(text).not.toMatch(/NaN|undefined|Infinity/);
    },
  );

  it.each(Object.entries(plots))('%s closes every element it opens', (_, text) => {
    const open: string[] = [];
    for (const [, close, name = '', alone] of text.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
      if (close === '/') expect(open.pop()).toBe(name);
      else if (alone !== '/') open.push(name);
    }

    expect(open).toEqual([]);
  });

  it('names of series are text, not markup', () => {
    expect(plots.strip).toContain('theirs &lt;&amp;&gt;');
  });

  it('draws a dot for every value, up to a limit that keeps the extremes', () => {
    const many = stripPlot({
      ...PLOT,
      series: [{ name: 'ours', values: Array.from({ length: 5_000 }, (_, i) => i + 1) }],
    });

    expect(plots.strip.match(/<circle/g)).toHaveLength(105);
    expect(many.match(/<circle/g)).toHaveLength(300);
  });

  it('paints ours apart, wherever its name stands, and all alike where nobody is compared', () => {
    const paints = (names: readonly string[]): readonly string[] => {
      const series = names.map((name) => ({ name, values: [1] }));
      return [...stripPlot({ ...PLOT, series }).matchAll(/<circle[^>]*class="(c\d)"/g)].map(([, paint = '']) => paint);
    };

    expect(paints(['ours, NRI', '20 nodes, ours: one patch', 'no mesh (ours, NRI)', 'theirs'])).toEqual([
      'c0',
      'c0',
      'c1',
      'c1',
    ]);
    expect(paints(['at rest', 'at work'])).toEqual(['c0', 'c0']);
  });

  it.each([
    ['places', [1, 1]],
    ['linear', [1, 2]],
  ] as const)('a line over %s has its points at these distances', (xAxis, [first, second]) => {
    const series = [100, 200, 400].map((x) => ({ name: `${x}`, values: [1], at: { line: 'ours', x } }));
    const text = linesPlot({ ...PLOT, xLabel: 'nodes', xAxis, series });
    const [a = 0, b = 0, c = 0] = [...text.matchAll(/<circle cx="([\d.]+)"/g)].map(([, x]) => Number(x));

    expect((c - b) / (b - a)).toBeCloseTo(second / first, 1);
  });

  it('names lines that end together at the bottom above it, one below the other', () => {
    const series = ['a', 'b', 'c'].flatMap((name) =>
      [1, 2].map((x) => ({ name: `${name}${x}`, values: [x === 1 ? 100 : 1], at: { line: name, x } })),
    );
    const text = linesPlot({ ...PLOT, xLabel: 'x', xAxis: 'places', series });
    const ys = [...text.matchAll(/<text x="[\d.]+" y="([\d.]+)">[abc]</g)]
      .map(([, y]) => Number(y))
      .toSorted((a, b) => a - b);

    expect(ys).toHaveLength(3);
    expect(Math.max(...ys)).toBeLessThanOrEqual(380 - 56 + 4);
    expect(ys.slice(1).every((y, index) => y - (ys[index] ?? 0) >= 20)).toBe(true);
  });

  it('draws the same picture from the same values', () => {
    expect(stripPlot(PLOT)).toBe(plots.strip);
  });
});
