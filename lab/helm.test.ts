import { describe, expect, it } from 'vitest';
import { mergeValues } from './helm.ts';

describe('values over values', () => {
  it('merges maps key by key and replaces everything else', () => {
    const base = { global: { hub: 'a', proxy: { image: 'p' } }, list: [1, 2], cni: { enabled: false } };
    const over = { global: { proxy: { logLevel: 'debug' } }, list: [3], cni: true };
    expect(mergeValues(base, over)).toEqual({
      global: { hub: 'a', proxy: { image: 'p', logLevel: 'debug' } },
      list: [3],
      cni: true,
    });
  });

  it('leaves what it was given as it was', () => {
    const base = { global: { hub: 'a' } };
    mergeValues(base, { global: { hub: 'b' } });
    expect(base).toEqual({ global: { hub: 'a' } });
  });
});
