import { createHash, type Hash } from 'node:crypto';
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

/** linux/netfilter/nfnetlink.h, nf_tables.h: NFNL_SUBSYS_NFTABLES in the high byte; NFPROTO_INET. */
const [GET_TABLE, GET_CHAIN, GET_RULE, GET_SET, GET_ELEMENTS] = [0xa01, 0xa04, 0xa07, 0xa0a, 0xa0d] as const;
const NFPROTO_INET = 1;
/** The table's name is attribute 1 in every one of these messages; a set's name is attribute 2. */
const [NAME_OF_TABLE, NAME_OF_SET] = [1, 2] as const;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;

/**
 * A digest over everything the kernel holds of a table of family inet in the current netns: comment, chains, rules with their
 * expressions, handles and counters, sets, elements. Two tables with the same fingerprint are the same to the last byte; the same table
 * gets another one as soon as a packet is counted. Undefined if it cannot be told. A tenth of the price of a listing.
 */
export function tableFingerprint(table: string): string | undefined {
  return withNetlink(NETLINK_NETFILTER, (socket) => {
    const hash = createHash('sha256');
    const name = attribute(NAME_OF_TABLE, Buffer.from(`${table}\0`));
    const [own] = socket.ask(request(GET_TABLE, 0, name));
    if (own === undefined || own.type === NLMSG_ERROR) return undefined;
    add(hash, own.body.subarray(NFGENMSG_BYTES));
    for (const kind of [GET_CHAIN, GET_RULE, GET_SET]) {
      const objects = objectsOf(socket, request(kind, NLM_F_DUMP, name), table);
      if (objects === undefined) return undefined;
      for (const object of objects) {
        add(hash, object);
        const elements = kind === GET_SET ? elementsOf(socket, name, object) : [];
        if (elements === undefined) return undefined;
        for (const element of elements) add(hash, element);
      }
    }
    return hash.digest('base64');
  });
}

/** The objects of our table in a dump; older kernels dump those of every table. */
function objectsOf(socket: NetlinkSocket, asked: Buffer, table: string): Buffer[] | undefined {
  const wanted = Buffer.from(`${table}\0`);
  const bodies = bodiesOf(socket.dump(asked));
  return bodies?.filter((body) => valueOf(body, NAME_OF_TABLE)?.equals(wanted) === true);
}

/** Sorted, because a hash set dumps its elements in an order of its own. */
function elementsOf(socket: NetlinkSocket, table: Buffer, set: Buffer): Buffer[] | undefined {
  const name = valueOf(set, NAME_OF_SET);
  if (name === undefined) return undefined;
  const bodies = bodiesOf(socket.dump(request(GET_ELEMENTS, NLM_F_DUMP, table, attribute(NAME_OF_SET, name))));
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

/** With its length, so that no two lists of parts run together. */
function add(hash: Hash, bytes: Buffer): void {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  hash.update(length).update(bytes);
}

function request(type: number, flags: number, ...attributes: readonly Buffer[]): Buffer {
  return message(type, NLM_F_REQUEST | flags, Buffer.from([NFPROTO_INET, 0, 0, 0]), ...attributes);
}
