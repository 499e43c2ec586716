import { describe, expect, it } from 'vitest';
import { isTablePresent, nftFailure } from './nft-failure.ts';

/** Texts as libnftables 1.0.6 gives them. */
describe('nftFailure', () => {
  it.each([
    [
      'Error: Could not process rule: No such file or directory\nadd rule inet nope a\n              ^^^^\n',
      'NftRejected',
    ],
    ['netlink: Error: cache initialization failed: Operation not permitted\n', 'NotPermitted'],
    ['Error: Could not process rule: Operation not permitted\n', 'NotPermitted'],
    ['Error: syntax error, unexpected newline, expecting string\nbogus\n     ^\n', 'NftTooOld'],
    ['Error: Could not process rule: Operation not supported\n', 'NftTooOld'],
    ['', 'NftRejected'],
  ])('%j is %s', (text, code) => {
    expect(nftFailure(text)).toMatchObject({ code, fields: { nft: text } });
  });

  it('says the reason first, without the place in a script nobody has', () => {
    expect(nftFailure('/dev/stdin:2:8-10: Error: Could not process rule: Device or resource busy\n^^^\n').message).toBe(
      'nftables: Could not process rule: Device or resource busy',
    );
    expect(nftFailure('').message).toBe('nftables: no reason given');
  });

  it('does not fill the log', () => {
    expect(String(nftFailure(`Error: x\n${'y'.repeat(100_000)}`).fields['nft'])).toHaveLength(2_000);
  });

  it('knows a table that is there already', () => {
    expect(isTablePresent(nftFailure('Error: Could not process rule: File exists\ncreate table inet x\n'))).toBe(true);
    expect(isTablePresent(nftFailure('Error: Could not process rule: No such file or directory\n'))).toBe(false);
    expect(isTablePresent(new Error('File exists'))).toBe(false);
  });
});
