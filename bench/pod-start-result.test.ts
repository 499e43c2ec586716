import { describe, expect, it } from 'vitest';
import type { EnvironmentName } from './cluster/environment.ts';
import { kindsIn, nameOf, startResult } from './pod-start-result.ts';
import type { Context } from './question.ts';

const BLOCKS: readonly EnvironmentName[] = ['istio-init', 'CRI', 'NRI', 'gateless', 'istio-cni'];
const ctx = { result: (measured) => ({ question: 'b', ...measured }) } as Pick<Context, 'result'> as Context;
const samples = new Map(BLOCKS.flatMap((block) => kindsIn(block).map((kind) => [nameOf(kind, block), [100, 101]])));
const result = startResult(ctx, { blocks: BLOCKS, samples, facts: {} });

describe('the starts of pods', () => {
  it('compare a mesh pod with the floor of its own node, and where there is none with that of istio-init', () => {
    const floors = (result.ratios ?? []).filter(({ label }) => label.endsWith('over the floor'));

    expect(floors.map(({ of, over }) => [of, over])).toEqual([
      ['istio-init', 'floor (istio-init)'],
      ['ours, CRI and gate', 'floor (ours, CRI)'],
      ['ours, NRI and gate', 'floor (ours, NRI)'],
      ['ours, gateless', 'floor (ours, gateless)'],
      ['istio-cni', 'floor (istio-init)'],
    ]);
  });

  it('compare only what was measured, and every target is of something compared', () => {
    const names = result.series.map(({ name }) => name);
    const compared = (result.ratios ?? []).flatMap(({ of, over }) => [of, over]);
    const known = [...(result.ratios ?? []).map(({ label }) => label), ...Object.keys(result.facts)];
    const aimedAt = (result.targets ?? []).map((target) =>
      'ratio' in target ? target.ratio : 'fact' in target ? target.fact : target.series,
    );

    expect(names).toEqual(expect.arrayContaining(compared));
    expect(known).toEqual(expect.arrayContaining(aimedAt));
    expect(aimedAt.filter((name) => name.includes('istio-cni') && !name.startsWith('no mesh'))).toEqual([]);
  });
});
