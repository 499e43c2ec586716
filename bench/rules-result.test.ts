import { describe, expect, it } from 'vitest';
import { describeRules } from './rules-result.ts';
import { commandsOf } from './spawned-ways.ts';

describe('the commands that make saved rules', () => {
  it('make own chains, not built-in ones, each in its table', () => {
    const saved = [
      '# Generated',
      '*nat',
      ':PREROUTING ACCEPT [0:0]',
      ':ISTIO_OUTPUT - [0:0]',
      '-A PREROUTING -p tcp -j ISTIO_OUTPUT',
      'COMMIT',
      '*mangle',
      ':ISTIO_DROP - [0:0]',
      '-A ISTIO_DROP -j DROP',
      'COMMIT',
    ].join('\n');

    expect(commandsOf(saved, 'ip6tables-nft')).toEqual([
      ['ip6tables-nft', '-t', 'nat', '-N', 'ISTIO_OUTPUT'],
      ['ip6tables-nft', '-t', 'nat', '-A', 'PREROUTING', '-p', 'tcp', '-j', 'ISTIO_OUTPUT'],
      ['ip6tables-nft', '-t', 'mangle', '-N', 'ISTIO_DROP'],
      ['ip6tables-nft', '-t', 'mangle', '-A', 'ISTIO_DROP', '-j', 'DROP'],
    ]);
  });
});

describe('the answer to (a)', () => {
  const way = (name: string, floor: boolean) => ({ name, note: '', floor, processes: 1, run: () => undefined });
  const sample = (ms: number) => ({ ms: [ms, ms, ms], cpuMs: [ms / 2, ms] });
  const answer = describeRules({
    samples: new Map([
      ['ours, one at a time', sample(2)],
      ['ours, back to back', sample(1)],
      ['nothing', sample(5)],
      ['slow', sample(60)],
      ['fast', sample(40)],
    ]),
    spawned: [way('nothing', true), way('slow', false), way('fast', false)],
    outcomes: [],
    facts: { rounds: 3 },
  });

  it('compares ours with the fastest way that writes rules, not with a floor', () => {
    expect(answer.ratios?.map(({ of, over }) => [of, over])).toEqual([
      ['fast', 'ours, back to back'],
      ['fast', 'ours, one at a time'],
      ['fast', 'ours, back to back: the transaction alone'],
    ]);
  });

  it('aims at ratios that it gives: with our proof, and of like with like', () => {
    const labels = answer.ratios?.map(({ label }) => label) ?? [];

    expect(answer.targets?.flatMap((target) => ('ratio' in target ? [target.ratio] : []))).toEqual([
      labels[0],
      labels[2],
    ]);
  });

  it('gives CPU time as a mean, for what children use comes in steps', () => {
    expect(answer.tables?.[1]?.rows).toContainEqual(['slow', 45]);
  });
});
