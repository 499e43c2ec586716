import { accessSync, constants } from 'node:fs';
import { ControllerError, errnoOf } from '../../errors.ts';
import type { Family } from '../../address.ts';
import { runProgram } from '../process.ts';

/** Which kernel interface iptables speaks to. */
export type Variant = 'nft' | 'legacy';

/** `iptables-save` and `iptables-restore` of one variant, on the current netns. */
export interface IptablesTools {
  /** All tables of a family as text; with counters if asked for. */
  save(family: Family, options?: { readonly counters: boolean }): string;
  /** Lets iptables parse an input without carrying it out. Legacy iptables registers the tables that it names. */
  test(family: Family, input: string): void;
  /** Carries an input out, one commit for each table in it. */
  restore(family: Family, input: string): void;
  /** Throws `ProgramMissing` unless the programs are there. Touches no rules. */
  requirePrograms(): void;
}

export function iptablesTools(variant: Variant): IptablesTools {
  const run = (family: Family, name: 'save' | 'restore', args: readonly string[], input = ''): string => {
    const program = `${family === 4 ? 'iptables' : 'ip6tables'}-${variant}-${name}`;
    const { status, stdout, stderr } = runProgram({ program, args, input, env: lockEnvironment() });
    if (status !== 0) throw iptablesFailure(program, stderr, input);
    return stdout;
  };
  const wait = `--wait=${LOCK_WAIT_SECONDS}`;
  return {
    save: (family, options) => run(family, 'save', options?.counters === true ? ['--counters'] : []),
    test: (family, input) => void run(family, 'restore', ['--noflush', '--test', wait], input),
    restore: (family, input) => void run(family, 'restore', ['--noflush', wait], input),
    requirePrograms: () => {
      for (const family of [4, 6] as const) run(family, 'restore', ['--version']);
    },
  };
}

/** What iptables says on its standard error as one of our errors; it names the line of its input, not what stands there. */
export function iptablesFailure(program: string, stderr: string, input: string): ControllerError {
  const text = stderr.trim();
  const number = /line:? (\d+)/.exec(text)?.[1];
  const line = number === undefined ? undefined : input.split('\n')[Number(number) - 1];
  const [first = ''] = text.split('\n', 1);
  const details = { fields: { program, stderr: text.slice(0, TEXT_MAX), ...(line === undefined ? {} : { line }) } };
  if (/Permission denied|Operation not permitted|must be root/.test(text)) {
    return new ControllerError('NotPermitted', `${program}: ${first}`, {
      ...details,
      hint: 'The process needs CAP_NET_ADMIN over the network namespace; iptables-legacy also CAP_NET_RAW.',
    });
  }
  const at = line === undefined ? '' : ` (line ${number}: ${line})`;
  return new ControllerError('IptablesRejected', `${program}: ${first || 'no reason given'}${at}`, {
    ...details,
    hint: 'If the kernel lacks a module (xt_owner, xt_comment, xt_REDIRECT, xt_TPROXY, xt_CT), load it on the node.',
  });
}

/**
 * Legacy iptables locks a file in /run, which a read-only root file system does not let it make. Then /dev/null is locked instead, which
 * keeps programs of this container apart; those of others have another /run anyway.
 */
function lockEnvironment(): Readonly<Record<string, string>> {
  try {
    accessSync('/run', constants.W_OK);
    return {};
  } catch (error: unknown) {
    if (errnoOf(error) === undefined) throw error;
    return { XTABLES_LOCKFILE: '/dev/null' };
  }
}

const LOCK_WAIT_SECONDS = 5;
const TEXT_MAX = 2_000;
