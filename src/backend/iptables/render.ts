import { ControllerError } from '../../errors.ts';
import type { Ruleset } from '../../ruleset/ruleset.ts';
import type { Family } from '../../address.ts';
import type { SavedTable } from './saved-rules.ts';
import { commitOrder, type IptablesTable, iptablesTables, TABLE_NAMES } from './tables.ts';

/** The input of `iptables-restore --noflush` for a netns without rules of ours, by family; what `render` shows. */
export function renderIptables(ruleset: Ruleset): Readonly<Record<Family, string>> {
  return { 4: renderChange(iptablesTables(ruleset, 4), []), 6: renderChange(iptablesTables(ruleset, 6), []) };
}

/**
 * The input that takes one family from what is saved to what is wanted. Each table is one commit, which the kernel takes whole: our
 * chains get their new rules, the jumps to them move to the first place, and chains that are no longer wanted go, with no moment in
 * between. A stranger's rules are not named.
 */
export function renderChange(wanted: readonly IptablesTable[], saved: readonly SavedTable[]): string {
  const lines = commitOrder(wanted).flatMap((name) =>
    renderTable(
      name,
      wanted.find((table) => table.name === name),
      saved.find((table) => table.name === name),
    ),
  );
  const text = lines.map((line) => `${line}\n`).join('');
  // A last guard against text that should never have come this far.
  if (!/^[\x20-\x7e\n]*$/.test(text))
    throw new ControllerError('Internal', 'an iptables input holds characters beyond ASCII');
  return text;
}

/** Takes out all that is saved of ours. */
export function renderRemoval(saved: readonly SavedTable[]): string {
  return renderChange([], saved);
}

/** Gives back what was saved earlier, byte for byte as it was read. */
export function renderReturn(earlier: readonly SavedTable[], now: readonly SavedTable[]): string {
  const wanted = TABLE_NAMES.flatMap((name) => {
    const table = earlier.find((one) => one.name === name);
    if (table === undefined) return [];
    const chains = [...table.chains].map(([chain, rules]) => ({ name: chain, rules }));
    // The first of several is inserted last.
    const jumps = table.jumps.map(({ from, spec }) => ({ from, spec })).toReversed();
    return chains.length === 0 && jumps.length === 0 ? [] : [{ name, chains, jumps }];
  });
  return renderChange(wanted, now);
}

function renderTable(
  name: string,
  wanted: IptablesTable | undefined,
  saved: SavedTable | undefined,
): readonly string[] {
  const chains = wanted?.chains ?? [];
  const stale = [...(saved?.chains.keys() ?? [])].filter((old) => !chains.some((chain) => chain.name === old));
  const jumps = saved?.jumps ?? [];
  if (wanted === undefined && stale.length === 0 && jumps.length === 0) return [];
  return [
    `*${name}`,
    // Makes the chain, or empties it if it is there.
    ...chains.map((chain) => `:${chain.name} - [0:0]`),
    ...jumps.map(({ from, spec }) => `-D ${from} ${spec}`),
    ...stale.map((old) => `-F ${old}`),
    ...stale.map((old) => `-X ${old}`),
    ...chains.flatMap((chain) => chain.rules.map((rule) => `-A ${chain.name} ${rule}`)),
    ...(wanted?.jumps ?? []).map(({ from, spec }) => `-I ${from} 1 ${spec}`),
    'COMMIT',
  ];
}
