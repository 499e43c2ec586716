import { environment, firstOf, type Inputs, istioDefault } from './inputs.ts';
import { parseGroups } from './ids.ts';
import { accepted, type Parsed, refused, trimmed } from './parsed.ts';
import type { Problem, Selection, Sourced } from './policy.ts';
import { VARIABLES } from './variables.ts';

/** Whose traffic is captured, by gid: variables of Istio's init container, which its CNI passes over. */
export function ownerGroups(
  inputs: Inputs,
  problems: Problem[],
): { readonly ownerGroups: Sourced<Selection<number>>; readonly excludeOwnerGroups: Sourced<readonly number[]> } {
  return {
    ownerGroups: firstOf<Selection<number>>(
      [environment(inputs, VARIABLES.ownerGroups)],
      parseGroupSelection,
      istioDefault({ all: true }),
      problems,
    ),
    excludeOwnerGroups: firstOf<readonly number[]>(
      [environment(inputs, VARIABLES.excludeOwnerGroups)],
      parseGroups,
      istioDefault([]),
      problems,
    ),
  };
}

/** `*`, or at least one group: an empty list would let everybody go. */
function parseGroupSelection(raw: string): Parsed<Selection<number>> {
  if (trimmed(raw) === '*') return accepted({ all: true });
  const parsed = parseGroups(raw);
  if (!parsed.ok) return refused(`* or ${parsed.allowed}`);
  return parsed.value.length === 0
    ? refused('* or at least one numeric gid')
    : accepted({ all: false, items: parsed.value });
}
