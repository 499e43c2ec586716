import { accepted, type Parsed, parseList, refused } from './parsed.ts';

/** Each id is a rule of its own: nft has no set of socket owners that all our kernels know. */
export const IDS_MAX = 16;
/** 2^32 - 1 is the kernel's "no id". */
const ID_MAX = 4_294_967_294;

/** Numeric uids or gids; at least one. Names are refused: they would be looked up in the wrong place. */
export function parseIds(raw: string): Parsed<readonly number[]> {
  const parsed = parseList(raw, parseId, { itemsMax: IDS_MAX, keyOf: String });
  return parsed.ok && parsed.value.length === 0 ? refused('at least one number') : parsed;
}

/** A chain of negated matches in one rule: xt_owner and nft take one group each. Istio's own limit for its include list. */
export const GROUPS_MAX = 64;

/** Numeric gids; blank is none. Names are refused: they would be looked up in the agent's groups, not in the pod's. */
export function parseGroups(raw: string): Parsed<readonly number[]> {
  return parseList(raw, parseGroup, { itemsMax: GROUPS_MAX, keyOf: String });
}

function parseGroup(raw: string): Parsed<number> {
  const parsed = parseId(raw);
  return parsed.ok ? parsed : refused(`a numeric gid, ${parsed.allowed}; names are not looked up`);
}

function parseId(raw: string): Parsed<number> {
  const id = /^(0|[1-9][0-9]{0,9})$/.test(raw) ? Number(raw) : Number.NaN;
  return id <= ID_MAX ? accepted(id) : refused(`a number from 0 to ${ID_MAX}`);
}
