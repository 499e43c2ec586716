import { type Attribute, attribute, attributesOf, message, NLM_F_ACK, NLM_F_REQUEST, valueOf } from './netlink.ts';
import {
  NAME_OF_SET,
  NAME_OF_TABLE,
  NFTA_SET_ELEM_LIST_ELEMENTS,
  type TableDump,
  type TableObject,
} from './table-dump.ts';

/** The transaction that makes a table again as a dump shows it, in the kernel's own words. Pure. */

/** linux/netfilter/nfnetlink.h, nf_tables.h: NFNL_SUBSYS_NFTABLES in the high byte; NFPROTO_INET. */
const [BATCH_BEGIN, BATCH_END, NFNL_SUBSYS_NFTABLES] = [0x10, 0x11, 10] as const;
const NEW = { table: 0xa00, chain: 0xa03, rule: 0xa06, set: 0xa09, elements: 0xa0c } as const;
const NFPROTO_INET = 1;
const [NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND] = [0x200, 0x400, 0x800] as const;
const [NFTA_LIST_ELEM, NFTA_EXPR_NAME, NFTA_RULE_EXPRESSIONS, NFTA_SET_ID] = [1, 1, 4, 10] as const;
const [NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_FLAGS, NFTA_SET_ELEM_USERDATA, NFTA_DATA_VALUE] = [1, 3, 6, 1] as const;
const NFT_SET_ELEM_INTERVAL_END = 1;

/**
 * Which attributes say what is wanted, and which only what the kernel made of it: handles, use counts, flags that follow from the hook, a
 * rule's place, NFTA_*_PAD. Anything else is not of our making, and such a table is not copied.
 */
const ATTRIBUTES = {
  /** name, flags, user data · use, handle, padding */
  table: { wanted: [1, 2, 6], made: [3, 4, 5], handle: 4 },
  /** table, name, hook, policy, type, user data · handle, use, padding, flags */
  chain: { wanted: [1, 3, 4, 5, 7, 12], made: [2, 6, 9, 10], handle: 2 },
  /** table, chain, expressions, user data · handle, position, padding */
  rule: { wanted: [1, 2, 4, 7], made: [3, 6, 8], handle: 3 },
  /** table, name, flags, key type, key length, policy, description, user data · padding, handle, back end, number of elements */
  set: { wanted: [1, 2, 3, 4, 5, 8, 9, 13], made: [14, 16, 19, 20], handle: 16 },
} as const;

/** A message's largest attribute has 16 bits of length. */
const LIST_BYTES_MAX = 32 * 1024;

/**
 * Undefined for a table with something in it that we never make. Counters start at zero. Objects come in the order in which they were
 * made, so the copy gets the same handles, and so the same fingerprint.
 */
export function copyOf({ table, objects }: TableDump): Buffer | undefined {
  const name = valueOf(table, NAME_OF_TABLE);
  const own = wantedOf('table', table);
  if (name === undefined || own === undefined) return undefined;
  const messages = [request(NEW.table, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, own)];
  const inOrder = objects.toSorted((a, b) => Number(handleOf(a) - handleOf(b)));
  for (const [index, object] of inOrder.entries()) {
    const made = creationOf(object, { name, setId: index + 1 });
    if (made === undefined) return undefined;
    messages.push(...made);
  }
  const frame = (type: number): Buffer => message(type, NLM_F_REQUEST, Buffer.from([0, 0, 0, NFNL_SUBSYS_NFTABLES]));
  return Buffer.concat([frame(BATCH_BEGIN), ...messages, frame(BATCH_END)]);
}

/** `setId` only tells apart the sets of one transaction. */
function creationOf(
  { kind, attributes, elements }: TableObject,
  { name, setId }: { readonly name: Buffer; readonly setId: number },
): Buffer[] | undefined {
  const wanted = wantedOf(kind, attributes);
  if (wanted === undefined) return undefined;
  if (kind === 'rule') return [request(NEW.rule, NLM_F_CREATE | NLM_F_APPEND, wanted.map(withoutCounts))];
  if (kind === 'chain') return [request(NEW.chain, NLM_F_CREATE, wanted)];
  const id = Buffer.alloc(4);
  id.writeUInt32BE(setId);
  const set = request(NEW.set, NLM_F_CREATE, [...wanted, { type: NFTA_SET_ID, value: id }]);
  const lists = listsOf(elements);
  if (lists === undefined) return undefined;
  const target = [
    { type: NAME_OF_TABLE, value: name },
    { type: NAME_OF_SET, value: valueOf(attributes, NAME_OF_SET) ?? Buffer.alloc(0) },
  ];
  return [
    set,
    ...lists.map((value) => {
      return request(NEW.elements, NLM_F_CREATE, [...target, { type: NFTA_SET_ELEM_LIST_ELEMENTS, value }]);
    }),
  ];
}

/** Undefined if there is an attribute that we do not know. */
function wantedOf(kind: keyof typeof ATTRIBUTES, attributes: Buffer): Attribute[] | undefined {
  const wanted: readonly number[] = ATTRIBUTES[kind].wanted;
  const made: readonly number[] = ATTRIBUTES[kind].made;
  const all = attributesOf(attributes);
  if (!all.every(({ type }) => wanted.includes(type) || made.includes(type))) return undefined;
  return all.filter(({ type }) => wanted.includes(type));
}

function handleOf({ kind, attributes }: TableObject): bigint {
  return valueOf(attributes, ATTRIBUTES[kind].handle)?.readBigUInt64BE() ?? 0n;
}

/** A counter without a value begins at zero; every other expression of ours is made of nothing but what was wanted. */
function withoutCounts({ type, value }: Attribute): Attribute {
  if (type !== NFTA_RULE_EXPRESSIONS) return { type, value };
  const expressions = attributesOf(value).map((expression) => {
    const name = valueOf(expression.value, NFTA_EXPR_NAME);
    const isCounter = name?.toString('latin1') === 'counter\0';
    return attribute(NFTA_LIST_ELEM, isCounter ? attribute(NFTA_EXPR_NAME, name) : expression.value);
  });
  return { type, value: Buffer.concat(expressions) };
}

/**
 * The elements, cut into lists that fit into a message. Ascending, the end of an interval before the start of the next one, as libnftables
 * sends them.
 */
function listsOf(elements: readonly Buffer[]): Buffer[] | undefined {
  if (elements.some((element) => !attributesOf(element).every(({ type }) => ELEMENT_ATTRIBUTES.has(type)))) {
    return undefined;
  }
  const keyed = elements.map((element) => ({
    key: valueOf(valueOf(element, NFTA_SET_ELEM_KEY) ?? Buffer.alloc(0), NFTA_DATA_VALUE) ?? Buffer.alloc(0),
    isEnd: ((valueOf(element, NFTA_SET_ELEM_FLAGS)?.readUInt32BE() ?? 0) & NFT_SET_ELEM_INTERVAL_END) !== 0,
    part: attribute(NFTA_LIST_ELEM, element),
  }));
  const sorted = keyed.toSorted((a, b) => Buffer.compare(a.key, b.key) || Number(b.isEnd) - Number(a.isEnd));
  const lists: Buffer[][] = [];
  let bytes = LIST_BYTES_MAX;
  for (const { part } of sorted) {
    bytes += part.length;
    if (bytes > LIST_BYTES_MAX) {
      lists.push([]);
      bytes = part.length;
    }
    lists.at(-1)?.push(part);
  }
  return lists.map((list) => Buffer.concat(list));
}

const ELEMENT_ATTRIBUTES: ReadonlySet<number> = new Set([
  NFTA_SET_ELEM_KEY,
  NFTA_SET_ELEM_FLAGS,
  NFTA_SET_ELEM_USERDATA,
]);

function request(type: number, flags: number, attributes: readonly Attribute[]): Buffer {
  const parts = attributes.map((one) => attribute(one.type, one.value));
  return message(type, NLM_F_REQUEST | flags, Buffer.from([NFPROTO_INET, 0, 0, 0]), ...parts);
}
