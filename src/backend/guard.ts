import { ControllerError } from '../errors.ts';

/**
 * The last look at what goes into a script: whatever comes this far has been parsed, and what does not fit is a fault of ours. One for all
 * backends; `script` is the place in the error.
 */
export function guardFor(script: string) {
  const unfit = (what: string, value: string): ControllerError =>
    new ControllerError('Internal', `${JSON.stringify(value)} cannot stand in ${script} as ${what}`);
  return {
    unfit,
    /** A whole number from 0 to `max`. */
    number: (value: number, max: number): string => {
      if (!Number.isInteger(value) || value < 0 || value > max) throw unfit('number', String(value));
      return String(value);
    },
    /** Keywords of every grammar: no look-up in /etc/protocols, which an image may not have. */
    protocol: (name: 'tcp' | 'udp'): string => {
      if (name !== 'tcp' && name !== 'udp') throw unfit('protocol', String(name));
      return name;
    },
    /** Printable ASCII without the quote that would end it and the backslash. nf_tables stores at most 128 bytes, xt_comment 256. */
    comment: (reason: string): string => {
      if (!/^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,120}$/.test(reason)) throw unfit('comment', reason);
      return reason;
    },
    /** The comment from which the policy of a netns is known. */
    policyComment: (policyHash: string): string => {
      if (!/^[0-9a-f]{16}$/.test(policyHash)) throw unfit('policy hash', policyHash);
      return `policy ${policyHash}`;
    },
  };
}

export const PORT_MAX = 65_535;
export const MARK_MAX = 4_294_967_295;
/** (uid_t)-1 means "no change" to the kernel and is nobody's id. */
export const ID_MAX = 4_294_967_294;
