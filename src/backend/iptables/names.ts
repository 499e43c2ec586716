import { ControllerError } from '../../errors.ts';

/** Of every chain of ours, in every table: nothing else is ever touched. */
export const CHAIN_PREFIX = 'IPNC_';

/** Nobody jumps to it: its one rule's comment carries the policy hash. */
export const POLICY_CHAIN = `${CHAIN_PREFIX}policy`;

/** A chain of the ruleset as iptables has it. */
export function chainName(name: string): string {
  const full = `${CHAIN_PREFIX}${name}`;
  // XT_FUNCTION_MAXNAMELEN 30, less the final zero; iptables itself allows 28.
  if (!/^[a-z][a-z0-9_]*$/.test(name) || full.length > 28 || full === POLICY_CHAIN) {
    throw new ControllerError('Internal', `${JSON.stringify(name)} cannot be the name of an iptables chain`);
  }
  return full;
}
