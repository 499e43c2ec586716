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

function parseId(raw: string): Parsed<number> {
  const id = /^(0|[1-9][0-9]{0,9})$/.test(raw) ? Number(raw) : Number.NaN;
  return id <= ID_MAX ? accepted(id) : refused(`a number from 0 to ${ID_MAX}`);
}
