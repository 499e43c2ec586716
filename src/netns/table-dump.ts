import {
  attribute,
  attributesOf,
  message,
  NFGENMSG_BYTES,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  type NetlinkMessage,
  valueOf,
} from './netlink.ts';
import { NETLINK_NETFILTER, type NetlinkSocket, withNetlink } from './netlink-socket.ts';

/** All that the kernel holds of one table, in its own words: the attributes of each object. */
export interface TableDump {
  readonly table: Buffer;
  /** In the kernel's order within each kind. */
  readonly objects: readonly TableObject[];
}

export interface TableObject {
  readonly kind: 'chain' | 'rule' | 'set';
  readonly attributes: Buffer;
  /** Of a set; sorted, because a hash set lists its elements in an order of its own. */
  readonly elements: readonly Buffer[];
}

/** linux/netfilter/nfnetlink.h, nf_tables.h: NFNL_SUBSYS_NFTABLES in the high byte; NFPROTO_INET. */
export const GET = { table: 0xa01, chain: 0xa04, rule: 0xa07, set: 0xa0a, elements: 0xa0d } as const;
const NFPROTO_INET = 1;
/** The table's name is attribute 1 in every one of these messages; a set's name is attribute 2. */
export const [NAME_OF_TABLE, NAME_OF_SET] = [1, 2] as const;
export const NFTA_SET_ELEM_LIST_ELEMENTS = 3;

/** A table of family inet in the current netns; undefined if it cannot be told. */
export function dumpTable(name: string): TableDump | undefined {
  return withNetlink(NETLINK_NETFILTER, (socket) => {
    const wanted = Buffer.from(`${name}\0`);
    const table = attribute(NAME_OF_TABLE, wanted);
    const [own] = socket.ask(request(GET.table, 0, table));
    if (own === undefined || own.type === NLMSG_ERROR) return undefined;
    const objects: TableObject[] = [];
    for (const kind of ['chain', 'rule', 'set'] as const) {
      const bodies = bodiesOf(socket.dump(request(GET[kind], NLM_F_DUMP, table)));
      if (bodies === undefined) return undefined;
      for (const attributes of bodies) {
        // Older kernels dump the objects of every table.
        if (valueOf(attributes, NAME_OF_TABLE)?.equals(wanted) !== true) continue;
        const elements = kind === 'set' ? elementsOf(socket, table, attributes) : [];
        if (elements === undefined) return undefined;
        objects.push({ kind, attributes, elements });
      }
    }
    return { table: own.body.subarray(NFGENMSG_BYTES), objects };
  });
}

export function elementsOf(socket: NetlinkSocket, table: Buffer, set: Buffer): Buffer[] | undefined {
  const name = valueOf(set, NAME_OF_SET);
  if (name === undefined) return undefined;
  const bodies = bodiesOf(socket.dump(request(GET.elements, NLM_F_DUMP, table, attribute(NAME_OF_SET, name))));
  return bodies
    ?.flatMap((body) => attributesOf(valueOf(body, NFTA_SET_ELEM_LIST_ELEMENTS) ?? Buffer.alloc(0)))
    .map(({ value }) => value)
    .toSorted((a, b) => Buffer.compare(a, b));
}

/** Without the header, whose generation number changes with every transaction. */
function bodiesOf(messages: readonly NetlinkMessage[] | undefined): Buffer[] | undefined {
  if (messages === undefined || messages.some(({ type }) => type === NLMSG_ERROR)) return undefined;
  return messages.filter(({ type }) => type !== NLMSG_DONE).map(({ body }) => body.subarray(NFGENMSG_BYTES));
}

export function request(type: number, flags: number, ...attributes: readonly Buffer[]): Buffer {
  return message(type, NLM_F_REQUEST | flags, Buffer.from([NFPROTO_INET, 0, 0, 0]), ...attributes);
}
