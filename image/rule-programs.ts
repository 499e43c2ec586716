import { readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Platform } from './platform.ts';
import type { Library } from './libraries.ts';

/** The programs of the fallback backends (src/backend/): nft, and both variants of iptables with what they load at run time. */
export interface RulePrograms {
  /** By their names in `/usr/sbin`. */
  readonly programs: readonly { readonly name: string; readonly source: string }[];
  /** Matches and targets, which iptables loads by name: also those of strangers' rules, which it must be able to read. */
  readonly extensions: readonly Library[];
}

const PROGRAMS = ['nft', 'xtables-nft-multi', 'xtables-legacy-multi'] as const;

/** iptables is one program a variant, which looks at the name it was started by. */
const NAMES = ['iptables', 'ip6tables'].flatMap((family) =>
  ['nft', 'legacy'].flatMap((variant) =>
    ['save', 'restore'].map((verb) => ({
      name: `${family}-${variant}-${verb}`,
      target: `xtables-${variant}-multi`,
    })),
  ),
);

/** Where Debian's iptables looks for its extensions, compiled in. */
export function extensionFolder(platform: Platform): string {
  return join(platform.libraryDir, 'xtables');
}

/** The files on this machine, or below `sysroot`. Bridges and ARP have extensions, too; nothing here asks for those. */
export async function findRulePrograms(platform: Platform, sysroot: string): Promise<RulePrograms> {
  const folder = join(sysroot || '/', extensionFolder(platform));
  const names = (await readdir(folder)).filter((name) => /^lib(xt|ipt|ip6t)_\w+\.so$/.test(name)).sort();
  return {
    programs: PROGRAMS.map((name) => ({ name, source: join(sysroot || '/', 'usr/sbin', name) })),
    extensions: names.map((soname) => ({ soname, source: join(folder, soname) })),
  };
}

/** The names by which iptables is started, beside the programs in `folder`. */
export async function linkNames(folder: string): Promise<void> {
  for (const { name, target } of NAMES) await symlink(target, join(folder, name));
}
