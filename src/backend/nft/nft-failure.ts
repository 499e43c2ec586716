import { ControllerError, isControllerError } from '../../errors.ts';

/** The text of libnftables' error buffer as one of our errors. Its first line says what is wrong, the rest points into the script. */
export function nftFailure(text: string): ControllerError {
  const [first = ''] = text.split('\n', 1);
  const line = first.replace(/^(?:\S+:\d+:\d+-\d+: )?Error: /, '') || 'no reason given';
  const details = { fields: { nft: text.slice(0, TEXT_MAX) } };
  if (text.includes('Operation not permitted')) {
    return new ControllerError('NotPermitted', `nftables: ${line}`, {
      ...details,
      hint: 'The process needs CAP_NET_ADMIN over the network namespace.',
    });
  }
  if (TOO_OLD.test(text)) {
    return new ControllerError('NftTooOld', `nftables: ${line}`, {
      ...details,
      hint: 'Needed: libnftables 1.0.1 or newer, and a kernel with nf_tables, nft_nat, nft_redir and nft_counter for family inet (5.2 or newer).',
    });
  }
  return new ControllerError('NftRejected', `nftables: ${line}`, {
    ...details,
    hint: 'Nothing was changed. If the kernel lacks a module (nft_redir, nft_nat, nft_chain_nat), load it on the node.',
  });
}

/** Did the transaction fail only because it was to create a table that is there already? */
export function isTablePresent(error: unknown): boolean {
  return isControllerError(error, 'NftRejected') && String(error.fields['nft']).includes('File exists');
}

/** The library's grammar, or the kernel, does not know something our scripts always use. */
const TOO_OLD =
  /syntax error|Operation not supported|Protocol not supported|not supported by|Invalid argument.*list table/;

/** A transaction of a thousand rules would otherwise fill the log. */
const TEXT_MAX = 2_000;
